// Reads JSON and remembers where everything stands, so that what is wrong with a document can be shown in its text.

const SPACE = " \t\r\n";
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const LITERAL = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])/y;

// The text is not JSON: `offset` is where it stops being so.
export class Unreadable extends Error {
  constructor(message, offset) {
    super(message);
    this.offset = offset;
  }
}

// The value that the text stands for, and `places`: from each path, such as "packages[0].files", to where its value
// begins and ends. Throws `Unreadable`.
export function read(text) {
  const reader = new Reader(text);
  try {
    const value = reader.value("");
    reader.skipSpace();
    if (reader.at < text.length) reader.fail("The document has ended here, but more stands behind it.");
    return { value, places: reader.places };
  } catch (error) {
    if (error instanceof RangeError) throw new Unreadable("The document is nested too deeply.", 0);
    throw error;
  }
}

// The innermost value around `path` that stands in the text: what is missing has no place of its own.
export function placeOf(places, path) {
  for (let around = path; around; around = around.replace(/(?:^|\.)[^.[\]]*$|\[\d*\]$/, "")) {
    if (places.has(around)) return places.get(around);
  }
  return places.get("") || [0, 0];
}

// The line and column of an offset, both from 1.
export function position(text, offset) {
  const before = text.slice(0, offset);
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.places = new Map();
  }

  value(path) {
    this.skipSpace();
    const start = this.at;
    const value = this.bare(path);
    this.places.set(path, [start, this.at]);
    return value;
  }

  bare(path) {
    const sign = this.text[this.at];
    if (sign === "{") return this.object(path);
    if (sign === "[") return this.list(path);
    if (sign === '"') return this.string();
    const literal = this.take(LITERAL);
    if (literal === null) this.fail(this.whatIsNoValue());
    return JSON.parse(literal);
  }

  object(path) {
    const members = new Map();
    this.entries("}", () => {
      if (this.text[this.at] !== '"') this.fail("A name between double quotes must stand here.");
      const start = this.at;
      const name = this.string();
      if (members.has(name)) this.fail(`"${name}" stands twice in the same object.`, start);
      this.skipSpace();
      if (this.text[this.at] !== ":") this.fail(`A colon must stand behind "${name}".`);
      this.at += 1;
      members.set(name, this.value(path ? `${path}.${name}` : name));
    });
    return Object.fromEntries(members);
  }

  list(path) {
    const items = [];
    this.entries("]", () => items.push(this.value(`${path}[${items.length}]`)));
    return items;
  }

  // What stands between brackets, with commas between it.
  entries(end, readOne) {
    const start = this.at;
    this.at += 1;
    this.skipSpace();
    if (this.text[this.at] !== end) {
      while (this.at < this.text.length) {
        readOne();
        this.skipSpace();
        if (this.text[this.at] !== ",") break;
        const comma = this.at;
        this.at += 1;
        this.skipSpace();
        if (this.text[this.at] === end) this.fail("No comma may stand behind the last entry.", comma);
      }
    }
    if (this.at >= this.text.length) this.fail(`This "${this.text[start]}" is not closed.`, start);
    if (this.text[this.at] !== end) this.fail(`A comma or "${end}" must stand here.`);
    this.at += 1;
  }

  string() {
    const found = this.take(STRING);
    if (found === null) this.fail("This text is not closed, or has a character in it that must be escaped.");
    return JSON.parse(found);
  }

  whatIsNoValue() {
    if (this.at >= this.text.length) return "The document ends too early.";
    if (this.text[this.at] === "'") return "Text must stand between double quotes.";
    return "A value must stand here: text between double quotes, a number, true, false, null, { or [.";
  }

  skipSpace() {
    while (SPACE.includes(this.text[this.at])) this.at += 1;
  }

  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) return null;
    this.at += found[0].length;
    return found[0];
  }

  fail(message, offset = this.at) {
    throw new Unreadable(message, offset);
  }
}
