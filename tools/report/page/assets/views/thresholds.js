// The first view: what the bounds remove, the setting to take away, and a histogram for each column.
"use strict";
(function (vidsieve) {
  const { element } = vidsieve;

  function make(context) {
    const cards = new vidsieve.Cards(context.filter);
    context.cards = cards;
    const scores = [...context.filter.columns.values()].filter((column) => column.kind === "number" && column.score);
    const others = [...context.filter.columns.values()].filter((column) => !scores.includes(column));
    const grid = (columns) => element("div.cards", {}, ...columns.map((column) => cards.cards.get(column.name).element));
    const bounds = new vidsieve.Bounds(context.filter);
    const setting = new vidsieve.Setting(context.filter);
    const strip = new vidsieve.Strip(context);
    const scale = element("input", { type: "checkbox", change: (event) => {
      cards.scaleToKept = event.currentTarget.checked;
      cards.update(null);
    } });
    const legend = element("p.legend", {},
      element("span", {}, element("i.swatch.kept"), " kept"), element("span", {}, element("i.swatch.lost"), " removed by this bound alone"),
      element("span", {}, element("i.swatch.all"), " all rows"), element("label", {}, scale, " scale to what is kept"));
    return {
      element: element("div", {}, bounds.element, setting.element, legend,
        scores.length ? element("h2", {}, "Scores") : null, scores.length ? grid(scores) : null,
        others.length ? element("h2", {}, "Facts and labels") : null, others.length ? grid(others) : null,
        context.filter.columns.size ? null : element("p", {}, context.table.rows ? "This table has no column of numbers or labels." : "This table has no rows."), strip.element),
      update() {
        bounds.update();
        setting.update();
        strip.update();
      },
    };
  }

  (vidsieve.views ??= []).push({ id: "thresholds", title: "Thresholds", make });
})((globalThis.vidsieve ??= {}));
