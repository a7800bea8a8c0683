// Elements made in one line. Whatever comes from outside becomes text, never markup.

// An element with its attributes and children. An attribute that is true stands alone, one that is false or null is
// left out, and a function listens: make("button", { type: "button", onclick: save }, "Save").
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// Let the element say the text. One that says it already is left alone, and so are those who are reading it.
export function say(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}
