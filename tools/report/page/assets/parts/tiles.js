// Clips as tiles: a picture of a few frames that plays, the name, a score, and whether the row is kept.
"use strict";
(function (vidsieve) {
  const { element, short } = vidsieve;
  const FRAME_MS = 450;

  const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  /** Pictures are decoded when they come near the screen, not before. */
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      target.vidsieveLoad();
    }
  }, { rootMargin: "200px" });

  let parsed = null;

  /** What the page has of each clip, by row: a picture or why there is none, and the link; read when needed. */
  function sprites() {
    parsed ??= new Map(Object.entries(JSON.parse(document.getElementById("sprites")?.textContent || "{}"))
      .map(([row, sprite]) => [Number(row), sprite]));
    return parsed;
  }

  /** The frames of one clip, side by side in one JPEG, of which one is seen at a time. */
  class Picture {
    /**
     * @param {object|undefined} sprite From `sprites`.
     * @param {string} name Of the clip, for screen readers.
     */
    constructor(sprite, name) {
      this.frames = sprite?.jpeg ? sprite.frames : 0;
      this.timer = null;
      if (!this.frames) {
        this.element = element("div.picture", {}, element("span.quiet", {}, sprite?.failure ?? "no picture"));
        return;
      }
      const wide = sprite.width * 9 >= sprite.height * 16;
      this.view = element("div.frames", { role: "img", "aria-label": `${this.frames} frames of ${name}` });
      this.view.style.aspectRatio = `${sprite.width} / ${sprite.height}`;
      this.view.style[wide ? "width" : "height"] = "100%";
      this.view.style.backgroundSize = `${100 * this.frames}% 100%`;
      this.element = element("div.picture", {}, this.view);
      this.rest();
      this.element.vidsieveLoad = () => (this.view.style.backgroundImage = `url("data:image/jpeg;base64,${sprite.jpeg}")`);
      near.observe(this.element);
    }

    /** Show one frame, counted from 0. */
    show(frame) {
      if (!this.frames) return;
      this.frame = frame % this.frames;
      this.view.style.backgroundPosition = `${this.frames > 1 ? (100 * this.frame) / (this.frames - 1) : 0}% 0`;
    }

    /** Show the frame in the middle: the first and the last one may be a fade. */
    rest() {
      this.show(Math.floor(this.frames / 2));
    }

    step() {
      if (this.frames) this.show(this.frame + 1);
    }

    get playing() {
      return this.timer !== null;
    }

    /** Play all frames again and again, unless the reader has asked for no motion. */
    play() {
      if (this.frames < 2 || this.playing || still()) return;
      this.show(0);
      this.timer = setInterval(() => {
        if (this.element.isConnected) this.step();
        else this.stop();
      }, FRAME_MS);
    }

    stop() {
      clearInterval(this.timer);
      this.timer = null;
    }

    /** What a click does: the next frame where nothing moves by itself, else play or pause. */
    press() {
      if (still()) this.step();
      else if (this.playing) this.stop();
      else this.play();
    }
  }

  /** All frames of a clip beside one another. */
  function film(sprite) {
    const made = element("div.film", { "aria-hidden": "true" });
    made.style.aspectRatio = `${sprite.frames * sprite.width} / ${sprite.height}`;
    made.style.backgroundImage = `url("data:image/jpeg;base64,${sprite.jpeg}")`;
    return made;
  }

  /** The end of a path: the name of the file. */
  const fileName = (path) => path.split("/").filter(Boolean).pop() ?? path;

  /** A link to a clip's file, with its name. Only addresses that `link_to` of clips.py makes are followed. */
  function fileLink(path, link) {
    const name = fileName(path) || "(no path)";
    const safe = typeof link === "string" && /^(\.\/|\.\.\/|file:\/\/\/)/.test(link);
    return safe
      ? element("a.name", { href: link, target: "_blank", rel: "noopener", title: path, tabindex: -1 }, name)
      : element("span.name", { title: path }, name);
  }

  /** The address of a file for which `link_to` of clips.py made none: of a path, from the folder that the table's are in. */
  function linkOf(path) {
    const folder = vidsieve.about.folder;
    if (!path || !folder || path.includes("\0") || /^[A-Za-z][A-Za-z0-9+.-]+:\/\//.test(path)) return null;
    const encoded = path.split("/").map((part) => encodeURIComponent(part.toWellFormed?.() ?? part)).join("/");
    return path.startsWith("/") ? `file:///${encoded.replace(/^\/+/, "")}` : folder + encoded;
  }

  /** A number in few characters, but in as many as tell it from a bound that is another number. */
  function shownBeside(number, bound) {
    const others = [bound?.low, bound?.high].filter((one) => typeof one === "number" && one !== number);
    for (let digits = 4; digits < 17; digits++) {
      const text = digits === 4 ? short(number) : String(Number(number.toPrecision(digits)));
      if (!others.some((one) => Number(text) === one)) return text;
    }
    return String(number);
  }

  /** Which bounds a row fails. */
  const failed = (filter, row) => [...filter.failing].filter(([, failing]) => failing[row]).map(([name]) => name);

  /**
   * A tile for a row. It can have the focus; it plays while it has, or while a pointer is over it.
   * @param {object} context Of the page.
   * @param {number} row
   * @param {object|null} column Whose value is shown.
   */
  function tile(context, row, column) {
    const { texts } = context.table;
    const path = texts.path?.[row] ?? "";
    const name = fileName(path) || `row ${row + 1}`;
    const sprite = sprites().get(row);
    const picture = new Picture(sprite, name);
    const fails = failed(context.filter, row);
    const mark = fails.length ? `✕ removed by ${fails.join(", ")}` : "✓ kept";
    const shown = column ? column.value(row) : null;
    const bound = column ? context.filter.bounds.get(column.name) : null;
    const value = column ? (typeof shown === "string" ? shown : shownBeside(shown, bound)) || "(empty)" : "";
    const caption = texts.text?.[row] ?? "";
    const given = vidsieve.ratings?.text(row) ?? "";
    const made = element("article.tile", {
      "data-row": row, tabindex: -1, class: fails.length ? "tile is-removed" : "tile",
      "aria-label": [name, column ? `${column.name} ${value}` : "", fails.length ? `removed by ${fails.join(", ")}` : "kept", given].filter(Boolean).join(", "),
    }, sprites().size ? picture.element : null,
      element("p.line", {}, path ? fileLink(path, sprite?.link ?? linkOf(path)) : element("span.name", {}, name), element("span.given", {}, given)),
      element("p.line", {}, element("span.mark", { title: mark }, mark), element("span.value", { title: column?.name }, value)),
      caption ? element("p.caption", { title: caption, dir: "auto" }, caption) : null);
    const stop = () => {
      if (made.matches(":hover, :focus")) return;
      picture.stop();
      picture.rest();
    };
    made.addEventListener("mouseenter", () => picture.play());
    made.addEventListener("focus", () => picture.play());
    made.addEventListener("mouseleave", stop);
    made.addEventListener("blur", stop);
    const link = made.querySelector("a.name");
    let before = false; // whether it was playing before a finger that now also hovers and focuses came down
    let byMouse = false;
    picture.element.addEventListener("pointerdown", (event) => {
      before = picture.playing;
      byMouse = event.pointerType === "mouse";
    });
    picture.element.addEventListener("click", () => {
      if (still()) picture.step();
      else if (byMouse) link?.click();
      else if (before) picture.stop();
      else picture.play();
    });
    picture.element.classList.toggle("opens", Boolean(link));
    made.picture = picture;
    return made;
  }

  /** Tiles in a grid, one of which can be reached by the tab key, the others by the arrow keys. */
  class Tiles {
    constructor(label) {
      this.element = element("div.tiles", { role: "group", "aria-label": label });
      this.element.addEventListener("focusin", (event) => this._current(event.target.closest(".tile")));
      this.element.addEventListener("keydown", (event) => this._key(event));
    }

    /** Show other tiles. The focus stays on its row, or on its place, where it was on one of them. */
    show(tiles) {
      const focused = this.element.contains(document.activeElement) ? document.activeElement.closest(".tile") : null;
      const place = focused ? [...this.element.children].indexOf(focused) : -1;
      for (const old of this.element.children) old.picture?.stop();
      this.element.replaceChildren(...tiles);
      if (!tiles.length) return;
      const same = focused && tiles.find((one) => one.dataset.row === focused.dataset.row);
      this._current(same ?? tiles[0]);
      if (focused) (same ?? tiles[Math.min(place, tiles.length - 1)]).focus({ preventScroll: true });
    }

    _current(tile) {
      if (!tile) return;
      for (const other of this.element.children) other.tabIndex = -1;
      tile.tabIndex = 0;
    }

    _key(event) {
      if (event.target.matches("input, select, textarea")) return;
      const tiles = [...this.element.children];
      const place = tiles.indexOf(event.target.closest(".tile"));
      if (event.key === "Enter" && event.target === tiles[place]) tiles[place].querySelector("a.name")?.click();
      const columns = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
      if (!by || place < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      tiles[Math.max(0, Math.min(tiles.length - 1, place + by))].focus();
    }
  }

  Object.assign(vidsieve, { sprites, Picture, film, Tiles, tile, fileName, fileLink, linkOf });
})((globalThis.vidsieve ??= {}));
