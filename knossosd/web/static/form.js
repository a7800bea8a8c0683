// The small form: the most needed fields of a document with one mod. The text of the document is what counts; the form
// shows it and changes it.

import { make } from "./dom.js";

const STATUSES = ["required", "recommended", "optional"];

// The mod of a document that has one, and the path to it; null when there is none, or several.
export function modOf(repo) {
  if (Array.isArray(repo?.mods)) return repo.mods.length === 1 ? at(repo.mods[0], "mods[0].") : null;
  return at(repo, "");
}

function at(mod, path) {
  const isMod = mod !== null && typeof mod === "object" && !Array.isArray(mod);
  return isMod && (mod.packages === undefined || Array.isArray(mod.packages)) ? { mod, path } : null;
}

// The files of a package that are written one by one.
export function filesOf(owner) {
  return Array.isArray(owner?.files) ? owner.files.filter((file) => file?.filename) : [];
}

// `place` holds the fields of the mod, which have a `data-field`, and `packages`, which gets a card for each package.
// `write` is called with the changed document.
export class ModForm {
  constructor({ place, packages, write }) {
    Object.assign(this, { place, packages, write });
    this.repo = undefined;
    this.cards = [];
    place.addEventListener("input", ({ target }) => this.edit(target));
  }

  // Show the document and what is wrong with it.
  show(repo, problems) {
    const found = modOf(repo);
    this.repo = repo;
    this.place.hidden = !found;
    if (!found) return;
    const packages = (found.mod.packages || []).map((one) => one || {});
    if (this.cards.length !== packages.length) this.deal(packages.length);
    for (const input of this.place.querySelectorAll("[data-field]")) {
      const owner = input.dataset.package === undefined ? found.mod : packages[input.dataset.package];
      if (input !== document.activeElement) input.value = shown(owner, input.dataset.field);
      const path = found.path + (input.dataset.package === undefined ? "" : `packages[${input.dataset.package}].`);
      mark(input, problems.filter((one) => isAbout(one.path, path + input.dataset.field)));
    }
    this.cards.forEach((card, index) => {
      const names = filesOf(packages[index]).map((file) => file.filename);
      card.querySelector(".files").textContent = names.join(", ") || "no archive";
    });
  }

  deal(count) {
    this.cards = Array.from({ length: count }, (_, index) => this.card(index));
    this.packages.replaceChildren(...this.cards);
  }

  card(index) {
    const drop = () => this.change((mod) => mod.packages.splice(index, 1));
    const button = { type: "button", class: "btn btn-sm btn-outline-secondary", onclick: drop };
    return make(
      "fieldset", { class: "package" },
      make("legend", {}, `Package ${index + 1}`),
      field(index, "name", "Name", make("input", { required: true })),
      field(index, "status", "Players need it", make("select", {}, ...STATUSES.map((one) => make("option", {}, one)))),
      field(index, "dependencies", "Needs", make("input", { placeholder: "FSO >=24.2.0, MVPS" })),
      field(index, "environment", "Runs on", make("input", { placeholder: "everywhere" })),
      make("div", { class: "foot" }, make("span", { class: "files" }), make("button", button, "Remove this package")),
    );
  }

  edit(input) {
    const { field: name, package: index } = input.dataset;
    if (!name) return;
    this.change((mod) => {
      const owner = index === undefined ? mod : mod.packages[index];
      const value = meant(owner, name, input.value);
      if (value === undefined) delete owner[name];
      else owner[name] = value;
    });
  }

  change(how) {
    const repo = structuredClone(this.repo);
    how(modOf(repo).mod);
    this.write(repo);
  }
}

function field(index, name, label, input) {
  const id = `package-${index}-${name}`;
  input.id = id;
  input.className = input.tagName === "SELECT" ? "form-select" : "form-control";
  Object.assign(input.dataset, { field: name, package: index });
  const caption = make("label", { class: "form-label", for: id }, label);
  return make("div", {}, caption, input, make("div", { class: "invalid-feedback" }));
}

// What a field shows of its value.
function shown(owner, name) {
  const value = owner[name];
  if (name === "status") return value || "recommended";
  if (name === "type") return value || "mod";
  if (name === "dependencies") return (Array.isArray(value) ? value : []).map(written).join(", ");
  return typeof value === "string" ? value : "";
}

function written(dependency) {
  return [dependency?.id, dependency?.version].filter(Boolean).join(" ");
}

// The value that is meant by what a field shows, undefined for none.
function meant(owner, name, text) {
  if (name === "dependencies") {
    const before = new Map((Array.isArray(owner[name]) ? owner[name] : []).map((one) => [one?.id, one]));
    const found = text.split(",").map((one) => /^(\S+)\s*(.*)$/.exec(one.trim())).filter(Boolean);
    const meanings = found.map(([, id, version]) => ({ ...before.get(id), id, version: version || null }));
    return meanings.length ? meanings : undefined;
  }
  const isOptional = name === "description" || name === "environment";
  return text || !isOptional ? text : undefined;
}

function isAbout(path, field) {
  return path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);
}

function mark(input, problems) {
  input.classList.toggle("is-invalid", problems.length > 0);
  input.setAttribute("aria-invalid", problems.length > 0);
  const said = input.parentElement.querySelector(".invalid-feedback");
  said.id = `${input.id}-problem`;
  said.textContent = problems.map((one) => one.message).join("; ");
  if (problems.length) input.setAttribute("aria-describedby", said.id);
  else input.removeAttribute("aria-describedby");
}
