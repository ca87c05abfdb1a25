// The bounds as text: a condition of datautil, a command, a recipe, and the fragment of a link.
"use strict";
(function (vidsieve) {
  /** A number as a condition takes it; whole ones beyond 2^53 need an exponent there. */
  const numberText = (number) =>
    Math.abs(number) > 2 ** 53 ? number.toExponential() : String(number);

  /** A text as a literal of Python, which conditions are parsed as. */
  function pythonText(text) {
    const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'");
    return `'${inner}'`;
  }

  /** The condition of one bound. */
  function conditionOf(column, bound) {
    const name = column.reference;
    if (!bound.labels) {
      const parts = [];
      if (bound.low !== null) parts.push(`${name} >= ${numberText(bound.low)}`);
      if (bound.high !== null) parts.push(`${name} <= ${numberText(bound.high)}`);
      return parts.join(" and ");
    }
    const codes = [...bound.labels].sort((a, b) => a - b);
    const empty = codes.includes(0);
    const filled = codes.filter((code) => code > 0);
    if (column.kind === "filled") {
      if (empty === filled.length > 0) return empty ? "" : `${name}.isna() and ${name}.notna()`;
      return empty ? `${name}.isna()` : `${name}.notna()`;
    }
    if (!filled.length) return empty ? `${name}.isna()` : `${name}.isna() and ${name}.notna()`;
    const values = filled.map((code) => {
      const value = column.values[code - 1];
      return column.kind === "truth" ? (value === "true" ? "True" : "False") : pythonText(value);
    });
    const among = `${name} in [${values.join(", ")}]`;
    return empty ? `(${among} or ${name}.isna())` : among;
  }

  /** The conditions of all bounds, in their order; those that keep every row are left out. */
  function conditions(filter) {
    return [...filter.bounds]
      .map(([name, bound]) => ({ name, where: conditionOf(filter.columns.get(name), bound) }))
      .filter((one) => one.where);
  }

  /** A word of a shell command. */
  function shellWord(word) {
    if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word;
    if (!/["$`\\!\n]/.test(word)) return `"${word}"`;
    return `'${word.replaceAll("'", "'\\''")}'`;
  }

  /** The command that keeps the rows of a table which pass; of one in parts, `tables` is an array. */
  function command(filter, tables) {
    const where = conditions(filter).map((one) => one.where).join(" and ");
    const words = ["python", "-m", "tools.datasets.datautil", ...[].concat(tables), ...(where ? ["--where", where] : [])];
    return words.map(shellWord).join(" ");
  }

  /** The bounds as a recipe file, see docs/where.md; a step for each bound. */
  function recipe(filter, title) {
    const text = (value) => JSON.stringify(value);
    const steps = conditions(filter).map(({ name, where }) =>
      `[[step]]\nname = ${text(name)}\nwhere = ${text(where)}\n`,
    );
    return [`[recipe]\ntitle = ${text(title)}\n`, ...steps].join("\n");
  }

  /** The bounds as the fragment of a link, without #. */
  function toFragment(filter) {
    const parts = new URLSearchParams();
    for (const [name, bound] of filter.bounds) {
      if (bound.labels) {
        const column = filter.columns.get(name);
        const values = [...bound.labels].map((code) => (code ? column.values[code - 1] : null));
        parts.append(name, JSON.stringify(values));
      } else {
        parts.append(name, `${bound.low ?? ""}..${bound.high ?? ""}`);
      }
    }
    return parts.toString();
  }

  /** The bounds that a fragment holds, for `Crossfilter.setAll`; what does not fit the table is left out. */
  function fromFragment(fragment, columns) {
    const bounds = new Map();
    for (const [name, text] of new URLSearchParams(fragment.replace(/^#/, ""))) {
      const column = columns.get(name);
      if (!column) continue;
      if (column.kind === "number") {
        const match = /^(.*)\.\.(.*)$/.exec(text);
        if (!match) continue;
        const [low, high] = match.slice(1).map((part) => (part === "" ? null : Number(part)));
        if (Number.isNaN(low) || Number.isNaN(high)) continue;
        bounds.set(name, { low, high });
      } else {
        const labels = labelsFrom(text, column);
        if (labels) bounds.set(name, { labels });
      }
    }
    return bounds;
  }

  function labelsFrom(text, column) {
    try {
      const values = JSON.parse(text);
      if (!Array.isArray(values)) return null;
      return new Set(
        values.map((value) => (value === null ? 0 : 1 + column.values.indexOf(value)))
          .filter((code, place) => code > 0 || values[place] === null),
      );
    } catch {
      return null;
    }
  }

  Object.assign(vidsieve, { conditions, shellWord, command, recipe, toFragment, fromFragment });
})((globalThis.vidsieve ??= {}));
