// Drafts a repo document from archives: from their names at first, and from what is in them once the server has looked.

import { counted } from "./figures.js";
import { filesOf } from "./form.js";

const ENDING = /(?:\.tar)?\.(?:7z|zip|rar|gz|xz|bz2)$/i;
const VERSION = /(?:^|[-_ .])v?(\d+(?:[._]\d+){1,2})(?:[-_.]?((?:rc|beta|alpha|pre)[._-]?\d*))?(?=$|[-_ .])/i;
const DATA = new Set([
  "cbanims", "cutscenes", "effects", "fonts", "freddocs", "hud", "intel", "interface", "maps", "missions", "models",
  "movies", "music", "players", "scripts", "sounds", "tables", "voice",
]);
const BUILD = /(?:^|\/)fs2_open[^/]*$/i;
const CORE = "Core";
const FIRST_VERSION = "1.0.0";

// A document for a mod whose archives have these names, still without packages.
export function begin(filenames) {
  const parts = filenames.map(partsOf);
  const words = shared(parts.map((one) => one.words));
  const version = parts.map((one) => one.version).find(Boolean) || FIRST_VERSION;
  return { id: words.join("_").replace(/[^\w-]+/g, "").toLowerCase(), title: titled(words), version, packages: [] };
}

// Put an uploaded archive into the mod: its link, where a package has a file of this name, or else a package of its
// own. `filenames` are those of all archives of the mod.
export function add(mod, { filename, url }, filenames) {
  const known = (mod.packages || []).flatMap(filesOf).find((file) => file.filename === filename);
  if (known) {
    known.urls = [url];
    for (const outdated of ["md5sum", "checksum", "filesize", "contents"]) delete known[outdated];
    return;
  }
  mod.packages ||= [];
  const common = shared(filenames.map((one) => partsOf(one).words)).length;
  const nameOf = (one) => titled(partsOf(one).words.slice(common)) || CORE;
  const taken = new Set(mod.packages.map((one) => one.name));
  let name = nameOf(filename);
  for (let number = 2; taken.has(name); number += 1) name = `${nameOf(filename)} ${number}`;
  const core = filenames.find((one) => nameOf(one) === CORE) || filenames[0];
  mod.packages.push({
    name,
    status: filename === core ? "required" : "recommended",
    files: [{ filename, urls: [url] }],
  });
}

// Take an archive out of the mod again, and its package when that has no other.
export function remove(mod, url) {
  for (const one of mod.packages || []) {
    if (filesOf(one).some(leadsTo(url))) one.files = one.files.filter((file) => !leadsTo(url)(file));
  }
  mod.packages = (mod.packages || []).filter((one) => one?.files?.length !== 0);
}

// What is known of the archive goes into the mod, where nothing stands yet.
export function complete(mod, { url, preview }) {
  const owner = (mod.packages || []).find((one) => filesOf(one).some(leadsTo(url)));
  if (!owner) return;
  const file = owner.files.find(leadsTo(url));
  const folders = preview.top.filter((name) => name.endsWith("/")).map((name) => name.slice(0, -1).toLowerCase());
  const isData = folders.length > 0 && folders.length === preview.top.length && folders.every((name) => DATA.has(name));
  if (isData) file.dest ??= "data";
  const builds = preview.programs.filter((program) => BUILD.test(program));
  if (!builds.length) return;
  owner.executables ??= builds.map((program) => ({ file: program, label: labelOf(program) }));
  owner.environment ??= environmentOf(builds);
  mod.type ??= "engine";
  mod.stability ??= "stable";
}

// What an archive holds, in a line.
export function summary(preview) {
  const found = [counted(preview.files, "file")];
  if (preview.mod_inis.length) found.push(preview.mod_inis[0]);
  if (preview.vps.length) found.push(preview.vps.length === 1 ? preview.vps[0] : `${preview.vps.length} .vp files`);
  if (preview.programs.length) found.push(preview.programs.map((path) => path.split("/").pop()).slice(0, 3).join(", "));
  return found.join(" · ");
}

function leadsTo(url) {
  return (file) => Array.isArray(file?.urls) && file.urls.includes(url);
}

function partsOf(filename) {
  const base = filename.replace(ENDING, "");
  const match = VERSION.exec(base);
  const version = match && complete3(match[1]) + (match[2] ? `-${match[2].toLowerCase().replace(/[._-]/g, ".")}` : "");
  const rest = match ? `${base.slice(0, match.index)} ${base.slice(match.index + match[0].length)}` : base;
  return { version, words: rest.split(/[-_ .]+/).filter(Boolean) };
}

function complete3(numbers) {
  return [...numbers.split(/[._]/), "0", "0"].slice(0, 3).map(Number).join(".");
}

// The words with which all lists begin.
function shared(lists) {
  const [first = [], ...others] = lists;
  const same = first.findIndex((word, index) =>
    others.some((list) => list[index]?.toLowerCase() !== word.toLowerCase()));
  return same < 0 ? first : first.slice(0, same);
}

function titled(words) {
  return words.map((word) => (/^[a-z]/.test(word) ? word[0].toUpperCase() + word.slice(1) : word)).join(" ");
}

function labelOf(program) {
  if (/fastdbg|fastdebug/i.test(program)) return "Fast Debug";
  return /debug|-dbg/i.test(program) ? "Debug" : null;
}

function environmentOf(programs) {
  const bits = programs.every((program) => /x64|x86_64|win64/i.test(program)) ? " && x86_64" : "";
  return `${programs.some((program) => /\.exe$/i.test(program)) ? "windows" : "linux"}${bits}`;
}
