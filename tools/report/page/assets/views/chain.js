// The way from the first table to this one: what each step has kept, added and lost, and why; and failures.
"use strict";
(function (vidsieve) {
  const { element, count, percent } = vidsieve;
  const MANY = 6; // columns that are named without a click

  const hours = (number) => vidsieve.hours(number * 3600);
  const isTimed = (step) => step.unknown_length < step.rows;

  /** Names of columns; of many, those after a click. */
  function names(title, columns) {
    if (!columns.length) return null;
    const list = columns.join(", ");
    if (columns.length <= MANY) return element("p.detail", {}, `${title} ${list}`);
    return element("details.detail", {}, element("summary", {}, `${title} ${columns.length} columns`), element("p", {}, list));
  }

  /** Why rows went, each reason with a bar. */
  function reasons(change) {
    if (!change.reasons.length || change.is_counted) return null;
    return element("ul.reasons", {}, ...change.reasons.map((reason) => element("li", {},
      element("span.name", { title: reason.recorded ? null : "by what made the table; no file says it row by row" },
        reason.recorded ? reason.text : `${reason.text} *`),
      element("span.track", {}, element("span.bar.lost", { style: `width:${(100 * reason.rows) / change.lost}%` })),
      element("span.count", {}, `${count(reason.rows)}${reason.hours ? ` (${hours(reason.hours)})` : ""}`))));
  }

  /** What went and came. */
  function change(step, before) {
    if (!step.change || !step.text) return null;
    const { lost } = step.change;
    const main = step.text.split(": ")[0];
    const share = lost && before && !step.change.is_counted && step.change.matched_by ? `, ${percent(lost, before.rows)}` : "";
    const isSaid = step.change.reasons.length > 0;
    const came = step.change.new && step.change.matched_by && isSaid ? `; +${count(step.change.new)} rows that were not there before` : "";
    return element("div.detail", {}, element("p", {}, isSaid ? `${main}${share}${came}` : `${step.text}${share}`), reasons(step.change));
  }

  function steps(chain) {
    const byHours = chain.steps.every((step) => isTimed(step) || !step.rows);
    const size = (step) => (byHours ? step.hours : step.rows);
    const most = Math.max(...chain.steps.map(size)) || 1;
    const list = element("ol.steps", {}, ...chain.steps.map((step, place) => element("li", {},
      element("header", {}, element("h3", { title: step.path }, step.name), element("span.quiet", {}, step.operation)),
      element("div.amount", {},
        element("span.track", {}, element("span.bar", { style: `width:${(100 * size(step)) / most}%` })),
        element("span", {}, `${count(step.rows)} rows`), element("span", { title: isTimed(step) ? null : "length not known" }, isTimed(step) ? hours(step.hours) : "–")),
      change(step, chain.steps[place - 1]), names("adds", step.columns_added), names("drops", step.columns_dropped))));
    const isInferred = chain.steps.some((step) => step.change?.reasons.some((reason) => !reason.recorded));
    return element("div", {},
      element("p.quiet", {}, `Bars show ${byHours ? "hours" : "rows"}.`,
        isInferred ? " Reasons with * follow from what made the table; the others stand in its failures file or a table of rejected rows." : ""), list);
  }

  function failures(chain) {
    const found = chain.steps.flatMap((step) => step.failures.map((kind) => ({ step, kind })));
    if (!found.length) return null;
    return element("div", {}, element("h2", {}, "Failures"),
      element("div.scroll", {}, element("table.failures", {},
        element("thead", {}, element("tr", {}, ...["kind", "rows", "at", "for example"].map((title) => element("th", { scope: "col" }, title)))),
        element("tbody", {}, ...found.map(({ step, kind }) => element("tr", {},
          element("th", { scope: "row" }, kind.kind || "(no kind)"), element("td", {}, count(kind.rows)), element("td.name", {}, step.name),
          element("td", {}, ...kind.examples.map(([path, message]) =>
            element("div.example", {}, element("code", {}, path), ` ${message}`)))))))));
  }

  function make({ about }) {
    const { chain } = about;
    return { element: element("div.chain", {},
      ...chain.notes.map((note) => element("p.quiet", {}, note)),
      chain.steps.length > 1 ? steps(chain) : null, failures(chain)) };
  }

  vidsieve.views ??= [];
  vidsieve.views.push({
    id: "chain", title: "Chain", make,
    useful: ({ about }) => Boolean(about.chain) && (about.chain.steps.length > 1 || about.chain.steps[0].failures.length > 0),
  });
})((globalThis.vidsieve ??= {}));
