// Checks a document against the published JSON Schema, with the keywords that it uses, in the words of the server.

const WORDS = {
  string: "text", array: "a list", object: "an object", boolean: "true or false", null: "null",
  number: "a number", integer: "a whole number",
};

export class Schema {
  constructor(schema) {
    this.schema = schema;
  }

  // What is wrong with the value: a list of { path, message }.
  check(value) {
    return this.problems(value, this.schema, "");
  }

  // The name under which the documentation describes the field at `path`, such as "Mod.version", null when it does not.
  field(path) {
    let [found, around] = [null, this.forms(this.schema)];
    for (const step of path.match(/\[\d+\]|[^.[\]]+/g) || []) {
      const owner = around.find((form) => stepInto(form, step));
      if (!owner) break;
      if (owner.properties) found = `${owner.title}.${step}`;
      around = this.forms(stepInto(owner, step));
    }
    return found;
  }

  problems(value, schema, path) {
    schema = this.resolved(schema);
    const choices = schema.anyOf || schema.oneOf;
    if (choices) return this.problemsOfBest(value, this.forms(schema), path);
    if (schema.type && schema.type !== typeOf(value)) return [{ path, message: `must be ${WORDS[schema.type]}` }];
    if (schema.enum && !schema.enum.includes(value)) return [{ path, message: `must be ${listed(schema.enum)}` }];
    if (Array.isArray(value)) return this.problemsOfList(value, schema, path);
    if (typeOf(value) === "object") return this.problemsOfObject(value, schema, path);
    return [];
  }

  // Of several forms that a value may have, what is wrong with it in the one that was meant.
  problemsOfBest(value, forms, path) {
    const fitting = forms.filter((form) => !form.type || form.type === typeOf(value));
    if (!fitting.length) {
      const words = forms.map((form) => form.type).filter((type) => type !== "null").map((type) => WORDS[type]);
      return [{ path, message: `must be ${[...new Set(words)].join(" or ")}` }];
    }
    const isThere = (name) => Object.hasOwn(Object(value), name);
    const known = (form) => Object.keys(form.properties || {}).filter(isThere).length;
    const tried = fitting.map((form) => ({ known: known(form), found: this.problems(value, form, path) }));
    tried.sort((one, other) => other.known - one.known || one.found.length - other.found.length);
    return tried.some(({ found }) => !found.length) ? [] : tried[0].found;
  }

  problemsOfList(list, schema, path) {
    const { prefixItems = [], items = {}, minItems = 0, maxItems = Infinity } = schema;
    if (list.length < minItems || list.length > maxItems) {
      return [{ path, message: minItems === 1 ? "must not be empty" : `must have ${minItems || maxItems} entries` }];
    }
    return list.flatMap((one, index) => this.problems(one, prefixItems[index] || items, `${path}[${index}]`));
  }

  problemsOfObject(object, schema, path) {
    const { properties = {}, required = [], additionalProperties } = schema;
    const inside = (name) => (path ? `${path}.${name}` : name);
    const missing = required.filter((name) => !Object.hasOwn(object, name));
    const schemaOf = (name) => (Object.hasOwn(properties, name) ? properties[name] : additionalProperties) || {};
    return [
      ...missing.map((name) => ({ path: inside(name), message: "is missing" })),
      ...Object.entries(object).flatMap(([name, value]) => this.problems(value, schemaOf(name), inside(name))),
    ];
  }

  // All forms that a value of this schema may have.
  forms(schema) {
    schema = this.resolved(schema);
    const choices = schema.anyOf || schema.oneOf;
    return choices ? choices.flatMap((choice) => this.forms(choice)) : [schema];
  }

  resolved(schema) {
    return schema.$ref ? this.schema.$defs[schema.$ref.split("/").pop()] : schema;
  }
}

function stepInto(form, step) {
  if (!step.startsWith("[")) {
    if (!form.properties) return form.additionalProperties;
    return Object.hasOwn(form.properties, step) ? form.properties[step] : null;
  }
  return form.prefixItems?.[parseInt(step.slice(1), 10)] || form.items;
}

function typeOf(value) {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

function listed(values) {
  const quoted = values.map((value) => JSON.stringify(value));
  return quoted.length > 1 ? `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}` : quoted[0];
}
