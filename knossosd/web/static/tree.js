// The files as the player will have them: a tree that folds, is searched, and shows 20,000 files at once only where one
// looks.

import { make } from "./dom.js";
import { count, counted } from "./figures.js";
import { folders, matching, plant, seen } from "./folders.js";
import { Rows } from "./rows.js";

const ROW = 1.75; // rem
const FEW = 40; // files that need not be folded
const INDENT = 1.1; // rem

export class Tree {
  #root;
  #rows;
  #visible = [];
  #current = 0;
  #words = "";
  #search = make("input", {
    type: "search", class: "form-control form-control-sm", placeholder: "Search files", "aria-label": "Search files",
  });
  #unfold = make("button", { type: "button", class: "btn btn-sm btn-outline-secondary" }, "Unfold all");
  #fold = make("button", { type: "button", class: "btn btn-sm btn-outline-secondary" }, "Fold all");
  #found = make("p", { class: "part-note", role: "status" });
  #box = make("div", { class: "tree", role: "tree", "aria-label": "Files", tabindex: "0" });

  // Show `files`, each with its `path` and the name of the `archive` that it comes from, in `element`.
  constructor(element, files) {
    this.#root = plant(files);
    element.append(make("div", { class: "part-head" }, this.#search, this.#unfold, this.#fold), this.#found, this.#box);
    this.#rows = new Rows(this.#box, ROW, (index, before) => this.#draw(index, before));
    this.#search.addEventListener("input", () => this.#look(this.#search.value));
    this.#unfold.addEventListener("click", () => this.#setAll(true));
    this.#fold.addEventListener("click", () => this.#setAll(false));
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    this.#box.addEventListener("click", (event) => this.#click(event));
    for (const top of this.#root.children) top.open = true;
    if (this.#root.files <= FEW) this.#setAll(true);
    else this.#show();
  }

  #look(words) {
    this.#words = words.trim().toLowerCase();
    this.#current = 0;
    this.#box.scrollTop = 0;
    this.#show();
  }

  // What is seen of the tree now, from top to bottom.
  #show() {
    const wanted = this.#words ? matching(this.#root, this.#words) : null;
    this.#visible = seen(this.#root, wanted);
    this.#current = Math.max(0, Math.min(this.#current, this.#visible.length - 1));
    const all = counted(this.#root.files, "file");
    this.#found.textContent = wanted ? `${count(wanted.files)} of ${all}` : all;
    this.#unfold.disabled = this.#fold.disabled = Boolean(wanted);
    this.#redraw();
  }

  #redraw() {
    this.#rows.show(this.#visible.length);
    const { node } = this.#visible[this.#current] ?? {};
    if (node) this.#box.setAttribute("aria-activedescendant", idOf(node));
    else this.#box.removeAttribute("aria-activedescendant");
  }

  #draw(index, before) {
    const { node, place, siblings } = this.#visible[index];
    const row = before ?? make("div", { role: "treeitem" }, make("span", { class: "name" }), make("span", { class: "from" }));
    const folder = node.children !== null;
    row.id = idOf(node);
    row.className = `node ${folder ? (this.#isOpen(node) ? "folder open" : "folder") : "file"}`;
    row.classList.toggle("current", index === this.#current);
    row.dataset.index = index;
    row.style.paddingLeft = `${node.level * INDENT}rem`;
    row.title = node.path;
    row.firstChild.textContent = node.name;
    row.lastChild.textContent = folder ? counted(node.files, "file") : node.archive;
    row.setAttribute("aria-level", node.level);
    row.setAttribute("aria-posinset", place);
    row.setAttribute("aria-setsize", siblings);
    if (folder) row.setAttribute("aria-expanded", this.#isOpen(node));
    else row.removeAttribute("aria-expanded");
    return row;
  }

  // What is found is seen, whether its folders are open or not.
  #isOpen(node) {
    return node.open || Boolean(this.#words);
  }

  #click(event) {
    const row = event.target.closest(".node");
    if (!row) return;
    this.#current = Number(row.dataset.index);
    this.#turn(this.#visible[this.#current].node);
  }

  #turn(node) {
    if (node.children && !this.#words) node.open = !node.open;
    this.#show();
  }

  #setAll(open) {
    for (const node of folders(this.#root)) node.open = open;
    this.#show();
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !this.#visible.length) return;
    const { node } = this.#visible[this.#current];
    const moves = {
      ArrowDown: () => this.#go(this.#current + 1),
      ArrowUp: () => this.#go(this.#current - 1),
      PageDown: () => this.#go(this.#current + this.#rows.inView),
      PageUp: () => this.#go(this.#current - this.#rows.inView),
      Home: () => this.#go(0),
      End: () => this.#go(this.#visible.length - 1),
      ArrowRight: () => (node.children && !this.#isOpen(node) ? this.#turn(node) : node.children && this.#go(this.#current + 1)),
      ArrowLeft: () => (node.children && node.open && !this.#words ? this.#turn(node) : this.#goTo(node.parent)),
      Enter: () => this.#turn(node),
      " ": () => this.#turn(node),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  }

  #go(index) {
    this.#current = Math.max(0, Math.min(index, this.#visible.length - 1));
    this.#rows.reveal(this.#current);
    this.#redraw();
  }

  #goTo(node) {
    const index = this.#visible.findIndex((one) => one.node === node);
    if (index !== -1) this.#go(index);
  }
}

const idOf = (node) => `file-${node.number}`;
