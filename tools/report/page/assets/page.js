// Starts the page: unpacks the table, builds the tabs, and keeps them up to date.
"use strict";
(function (vidsieve) {
  const { element } = vidsieve;

  /**
   * The views, in the order of their tabs. Each script in views/ adds an object to `vidsieve.views`: `id`, `title`;
   * `make(context)`, called when it is first shown, which returns `{element, update?}`, where `update` is called
   * after a change while the view is shown; and `useful?(context)`, whether the page has what the view needs.
   */
  class Tabs {
    constructor(context, views) {
      this.context = context;
      this.bar = element("div.tabs", { role: "tablist", "aria-label": "views" });
      this.panels = element("div");
      this.views = views.filter((view) => !view.useful || view.useful(context));
      for (const [place, view] of this.views.entries()) {
        view.tab = element("button", { type: "button", role: "tab", id: `tab-${view.id}`, "aria-controls": `view-${view.id}`,
          click: () => this.show(place) }, view.title);
        view.panel = element("section", { role: "tabpanel", id: `view-${view.id}`, "aria-labelledby": `tab-${view.id}`, hidden: true });
        this.bar.append(view.tab);
        this.panels.append(view.panel);
      }
      this.bar.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (by) this.show((this.shown + by + this.views.length) % this.views.length, true);
      });
    }

    show(place, focus = false) {
      this.shown = place;
      for (const [other, view] of this.views.entries()) {
        view.panel.hidden = other !== place;
        view.tab.setAttribute("aria-selected", String(other === place));
        view.tab.tabIndex = other === place ? 0 : -1;
      }
      const view = this.views[place];
      if (focus) view.tab.focus();
      view.tab.scrollIntoView({ block: "nearest", inline: "nearest" });
      if (!view.made) {
        view.made = view.make(this.context);
        view.panel.append(view.made.element);
      }
      view.made.update?.();
    }

    update() {
      this.views[this.shown].made.update?.();
    }
  }

  function themeButton(context) {
    const button = element("button.link", { type: "button", "aria-label": "dark or light", title: "dark or light", click: () => {
      const dark = document.documentElement.dataset.theme === "dark";
      document.documentElement.dataset.theme = dark ? "light" : "dark";
      context.cards?.recolour();
      document.dispatchEvent(new CustomEvent("vidsieve:theme"));
    } }, "◐");
    document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    return button;
  }

  async function start() {
    const about = (vidsieve.about = JSON.parse(document.getElementById("about").textContent));
    const table = await vidsieve.unpack(about, document.getElementById("data").textContent);
    const filter = new vidsieve.Crossfilter(table.columns, table.rows, table.seconds);
    filter.setAll(vidsieve.fromFragment(location.hash, table.columns));
    const context = { about, table, filter, moved: new vidsieve.Moved(filter) };
    vidsieve.ratings = vidsieve.pageRatings(context);
    vidsieve.ratings.onChange(vidsieve.markTiles);
    const theme = themeButton(context);
    const kept = new vidsieve.Kept(filter);
    const tabs = new Tabs(context, vidsieve.views);
    const sampled = about.embedded < about.rows
      ? element("p.notice", {}, `This page has a random sample of ${vidsieve.count(about.embedded)} of the ${vidsieve.count(about.rows)} rows ` +
        `(seed ${about.seed}): counts with ≈ are estimates. Bars of all rows, and rows without a number, are counted in the whole table.`)
      : null;
    document.body.append(
      element("header.top", {},
        element("div.title", {}, element("h1", {}, about.title), theme), kept.element, tabs.bar),
      element("main", {}, sampled, tabs.panels),
      element("footer", {}, `Written by vidsieve ${about.version} from ${about.table}. This page needs no network and sends nothing.`));
    tabs.show(0);
    filter.onChange(() => {
      kept.update();
      kept.announceSoon();
      tabs.update();
    });
    addEventListener("hashchange", () => filter.setAll(vidsieve.fromFragment(location.hash, table.columns)));
    Object.assign(vidsieve, { context, setBound: (name, low, high) => filter.setRange(name, low, high) });
    document.documentElement.dataset.ready = "1";
  }

  start().catch((error) => {
    document.body.append(element("p.notice", { role: "alert" }, `The page could not be shown: ${error.message}`));
    throw error;
  });
})((globalThis.vidsieve ??= {}));
