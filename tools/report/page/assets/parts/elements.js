// Elements of the page. Texts of the table go in as text nodes only, never as markup.
"use strict";
(function (vidsieve) {
  /**
   * Make an element.
   * @param {string} kind Tag, with classes after dots: "button.link".
   * @param {object} properties Attributes; functions are listeners ("click"); null and false are left out.
   * @param {...(Node|string|number|null)} children
   */
  function element(kind, properties = {}, ...children) {
    const [tag, ...classes] = kind.split(".");
    const made = document.createElement(tag);
    if (classes.length) made.className = classes.join(" ");
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === false || value === undefined) continue;
      if (typeof value === "function") made.addEventListener(name, value);
      else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined && child !== "").map((child) =>
      child instanceof Node ? child : document.createTextNode(String(child))));
    return made;
  }

  const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
  const count = (number) => whole.format(number);
  const percent = (part, all) => {
    if (!all) return "–";
    const share = Number(((100 * part) / all).toFixed(9)); // sums of seconds differ in their last digits
    return `${share.toFixed(share > 0 && share < 1 ? 2 : share < 99.95 || share === 100 ? 1 : 2)} %`;
  };
  const hours = (seconds) =>
    seconds >= 360_000 ? `${count(seconds / 3600)} h`
    : seconds >= 7200 ? `${(seconds / 3600).toFixed(1)} h`
    : seconds >= 120 ? `${(seconds / 60).toFixed(1)} min`
    : `${seconds.toFixed(1)} s`;
  /** A number in few characters; exact ones have all their digits in the fields. */
  const short = (number) =>
    Number.isNaN(number) ? "" : Number.isInteger(number) && Math.abs(number) < 1e6
      ? String(number) : String(Number(number.toPrecision(4)));

  /** Tell a screen reader something, politely. */
  function announce(text) {
    document.getElementById("announcements").textContent = text;
  }

  /** Offer a text as a file. */
  function download(name, text, type = "text/plain") {
    const link = element("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  /** Put a text on the clipboard, and say so on the button. */
  async function copy(text, button) {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = element("textarea", { readonly: true }); // where the clipboard is not to be had
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    announce("Copied");
    setTimeout(() => (button.textContent = before), 1500);
  }

  Object.assign(vidsieve, { element, count, percent, hours, short, announce, download, copy });
})((globalThis.vidsieve ??= {}));
