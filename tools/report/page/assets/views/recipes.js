// What published thresholds keep of this table, step by step, beside what their source says it kept.
"use strict";
(function (vidsieve) {
  const { element, count, percent, copy, announce } = vidsieve;

  const hours = (number) => vidsieve.hours(number * 3600);
  const left = (amount, total) => `${count(amount.rows)} (${percent(amount.rows, total.rows)})`;
  const leftHours = (amount, total) => {
    const kept = amount.rows === total.rows ? total.hours : amount.hours; // sums in another order differ a little
    return total.hours ? `${hours(kept)} (${percent(kept, total.hours)})` : "–";
  };
  const COLUMNS = ["removes alone", "removes in turn", "rows left", "hours left"];
  const cells = (titles, values) => values.map((value, place) => element("td", { "data-title": titles[place] }, value));

  /** Where a threshold comes from and what it measures. */
  function origin(step, recipe) {
    const parts = [step.source === recipe.source ? "" : step.source, step.scale, step.note].filter(Boolean);
    return parts.length ? element("p.quiet", {}, parts.join("; ")) : null;
  }

  function commands(step) {
    return Object.entries(step.missing).filter(([, command]) => command).map(([name, command]) => element("p", {}, `${name}: `, element("code", {}, command)));
  }

  function row(step, recipe) {
    const head = element("th", { scope: "row" }, element("strong", {}, step.name), " ", step.threshold && step.skipped ? step.threshold : null,
      step.where ? element("div", {}, element("code", {}, step.where)) : null, origin(step, recipe));
    if (step.skipped) {
      const missing = Object.keys(step.missing);
      const why = missing.length ? `the table has no column ${missing.join(", ")}` : step.skipped;
      return element("tr.unset", {}, head, element("td", { colspan: 4 }, element("p", {}, `left out: ${why}`), ...commands(step)));
    }
    return element("tr", {}, head, ...cells(COLUMNS, [count(step.alone.rows), count(step.in_turn.rows), left(step.left, recipe.total), leftHours(step.left, recipe.total)]));
  }

  /** Set the bounds of the page to those of a recipe, and say what could not be set. */
  function apply(context, recipe, said) {
    context.filter.setAll(new Map(recipe.bounds));
    const bounds = recipe.bounds.length === 1 ? "1 bound is set" : `${recipe.bounds.length} bounds are set`;
    const unset = recipe.unset.length ? `; not set, as they are no bounds of one column each: ${recipe.unset.join(", ")}` : "";
    said.textContent = `${bounds} in place of those before${unset}.`;
    announce(said.textContent);
  }

  function one(recipe, context, isOpen) {
    const applied = recipe.steps.filter((step) => !step.skipped);
    const said = element("p.quiet", { role: "status" });
    const keeps = applied.length
      ? [element("strong", {}, `keeps ${percent(recipe.left.rows, recipe.total.rows)} of your rows`), ` (${count(recipe.left.rows)} of ${count(recipe.total.rows)}` +
        `${recipe.total.hours ? `; ${hours(recipe.left.hours)} of ${hours(recipe.total.hours)}` : ""})`]
      : ["has no step that can be applied to this table"];
    const skipped = recipe.steps.length - applied.length;
    return element("details.recipe", { "data-recipe": recipe.recipe, open: isOpen },
      element("summary", {}, element("h2", {}, recipe.title || recipe.recipe)),
      recipe.source ? element("p.quiet", {}, recipe.source) : null,
      element("p.keeps", {}, "This recipe ", ...keeps, recipe.kept ? `; its source kept ${recipe.kept}` : null, ".",
        applied.length && skipped ? ` ${skipped} of its ${recipe.steps.length} steps ${skipped === 1 ? "is" : "are"} left out, so that more is kept than by all.` : null),
      element("div.scroll", {}, element("table.numbers", {},
        element("thead", {}, element("tr", {}, ...["step", ...COLUMNS].map((title) => element("th", { scope: "col" }, title)))),
        element("tbody", {}, ...recipe.steps.map((step) => row(step, recipe))))),
      recipe.command ? element("pre.command", {}, element("code", { tabindex: 0, "aria-label": "the command that keeps these rows" }, recipe.command)) : null,
      element("div.buttons", {},
        recipe.command ? element("button", { type: "button", click: (event) => copy(recipe.command, event.currentTarget) }, "Copy command") : null,
        recipe.bounds.length ? element("button", { type: "button", click: () => apply(context, recipe, said) }, "Apply to the histograms") : null), said);
  }

  /** Show one of several recipes. */
  function open(details) {
    details.open = true;
    details.scrollIntoView({ block: "start" });
    details.querySelector("summary").focus({ preventScroll: true });
  }

  /** Several recipes beside each other; a name leads to the steps. */
  function compared(recipes, details) {
    if (recipes.length < 2) return null;
    const titles = ["rows left", "hours left", "steps applied", "its source kept"];
    return element("div.scroll", {}, element("table.numbers", {},
      element("thead", {}, element("tr", {}, ...["recipe", ...titles].map((title) => element("th", { scope: "col" }, title)))),
      element("tbody", {}, ...recipes.map((recipe, place) => element("tr", {},
        element("th", { scope: "row" }, element("button.link", { type: "button", click: () => open(details[place]) }, recipe.recipe)),
        ...cells(titles, [left(recipe.left, recipe.total), leftHours(recipe.left, recipe.total),
          `${recipe.steps.filter((step) => !step.skipped).length} of ${recipe.steps.length}`, recipe.kept || "–"]))))));
  }

  function make(context) {
    const { recipes } = context.about;
    const details = recipes.map((recipe) => one(recipe, context, recipes.length < 3));
    return { element: element("div", {}, compared(recipes, details), ...details) };
  }

  (vidsieve.views ??= []).push({
    id: "recipes", title: "Recipes", make,
    useful: ({ about }) => Boolean(about.recipes?.length),
  });
})((globalThis.vidsieve ??= {}));
