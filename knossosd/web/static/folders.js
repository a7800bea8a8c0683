// Paths as folders with files in them: what the tree shows a part of.

const byName = new Intl.Collator("en", { numeric: true });
let planted = 0;

// The tree of `files`, each with its `path` and the name of the `archive` that it comes from. A node is a folder when it
// has `children`; `files` is how many are below it. The root itself stands for no folder.
export function plant(files) {
  const root = newFolder("", null);
  for (const { path, archive } of files) {
    const parts = path.split("/").filter(Boolean);
    const name = parts.pop();
    const folder = parts.reduce((parent, part) => {
      if (!parent.named.has(part)) parent.named.set(part, newFolder(part, parent));
      return parent.named.get(part);
    }, root);
    if (!folder.named.has(name)) for (let above = folder; above; above = above.parent) above.files += 1;
    folder.named.set(name, { ...newNode(name, folder), archive });
  }
  sort(root);
  return root;
}

// Every folder below `node`.
export function* folders(node) {
  for (const child of node.children) {
    if (!child.children) continue;
    yield child;
    yield* folders(child);
  }
}

// What leads to files with `words` (in lower case) in their path: `has(node)`, and how many `files` these are.
export function matching(root, words) {
  const wanted = new Set();
  let files = 0;
  const look = (node) => {
    for (const child of node.children) {
      if (child.children) look(child);
      else if (child.path.toLowerCase().includes(words)) {
        files += 1;
        for (let above = child; above && !wanted.has(above); above = above.parent) wanted.add(above);
      }
    }
  };
  look(root);
  return { has: (node) => wanted.has(node), files };
}

// What one sees of the tree from top to bottom: of `wanted`, everything; without it, what is in open folders. Each
// node comes with its place among its siblings, from 1, and how many there are.
export function seen(root, wanted = null) {
  const rows = [];
  const collect = (folder) => {
    const children = wanted ? folder.children.filter(wanted.has) : folder.children;
    children.forEach((node, index) => {
      rows.push({ node, place: index + 1, siblings: children.length });
      if (node.children && (wanted || node.open)) collect(node);
    });
  };
  collect(root);
  return rows;
}

function newNode(name, parent) {
  planted += 1;
  const path = parent?.path ? `${parent.path}/${name}` : name;
  return { name, path, parent, level: parent ? parent.level + 1 : 0, number: planted, children: null };
}

function newFolder(name, parent) {
  return { ...newNode(name, parent), named: new Map(), children: [], files: 0, open: false };
}

// Folders come before files, and both by name.
function sort(folder) {
  folder.children = [...folder.named.values()].sort(
    (one, other) => Boolean(other.children) - Boolean(one.children) || byName.compare(one.name, other.name),
  );
  for (const child of folder.children) if (child.children) sort(child);
}
