// Elements without markup: whatever a person said can only ever become text.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag with classes, as an attribute of `props`
 * @param {Record<string, unknown> | null} [props] `on*` are listeners, `data` a dataset, other names attributes
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "value" && "value" in element) /** @type {HTMLInputElement} */ (element).value = String(value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

/**
 * @param {Element} parent
 * @param {(Child | Child[])[]} children
 */
export function add(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

/**
 * @param {Element} parent
 * @param {...(Child | Child[])} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren();
  add(parent, children);
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...SVGElement} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes, ...children) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Drawn on 24 x 24, stroked. */
const ICONS = {
  mic: "M12 3a3 3 0 0 1 3 3v6a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3ZM5 11a7 7 0 0 0 14 0M12 18v3",
  off: "M9 5a3 3 0 0 1 6 1v5M9 9v3a3 3 0 0 0 5 2M5 11a7 7 0 0 0 11 5.7M19 11a7 7 0 0 1-.6 2.8M12 18v3M4 3l16 18",
  stop: "M6 6h12v12H6Z",
  pause: "M8 5v14M16 5v14",
  play: "M8 5l11 7-11 7Z",
  sound: "M4 9v6h4l5 4V5L8 9ZM16 9a4 4 0 0 1 0 6M18.5 6a8 8 0 0 1 0 12",
  silent: "M4 9v6h4l5 4V5L8 9ZM16 9.5l5 5M21 9.5l-5 5",
  text: "M4 18L9 6l5 12M5.6 14h6.8M15 18l3-7 3 7M15.9 16h4.2",
  save: "M12 4v11M7.5 11l4.5 4.5L16.5 11M5 20h14",
  clock: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16ZM12 8v4l3 2",
  people: "M9 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6ZM3 19a6 6 0 0 1 12 0M16 5.4a3 3 0 0 1 0 5.2M17.5 14a6 6 0 0 1 3.5 5",
  swap: "M7 4v15M7 4L4 7.5M7 4l3 3.5M17 20V5M17 20l-3-3.5M17 20l3-3.5",
  repeat: "M5 12a7 7 0 1 1 2.2 5.1M5 19v-4h4",
  large: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  list: "M5 7h14M5 12h14M5 17h9",
  close: "M6 6l12 12M18 6L6 18",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.4l-3 3A4 4 0 0 0 10.700 18.300L12 17",
  more: "M5 12h.01M12 12h.01M19 12h.01",
};

/** @param {keyof typeof ICONS} name */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

/**
 * @param {string} label
 * @param {(event: Event) => void} action
 * @param {{icon?: keyof typeof ICONS, class?: string, id?: string, quiet?: boolean, pressed?: boolean}} [options]
 * `quiet` shows the icon alone; the label is then read aloud
 */
export function button(label, action, options = {}) {
  return h(
    "button",
    {
      type: "button",
      id: options.id,
      class: `button ${options.class ?? ""} ${options.quiet ? "round" : ""}`.trim(),
      "aria-label": options.quiet ? label : null,
      title: options.quiet ? label : null,
      "aria-pressed": options.pressed === undefined ? null : String(options.pressed),
      onclick: action,
    },
    options.icon ? icon(options.icon) : null,
    options.quiet ? null : h("span", null, label),
  );
}

/**
 * @param {HTMLElement} element
 * @param {keyof typeof ICONS} name
 * @param {string} label
 */
export function relabel(element, name, label) {
  element.querySelector("svg")?.replaceWith(icon(name));
  const text = element.querySelector("span");
  if (text) text.textContent = label;
  else {
    element.setAttribute("aria-label", label);
    element.title = label;
  }
}

/**
 * @param {string} label
 * @param {[string, string][]} options value and text
 * @param {string} value
 * @param {(value: string) => void} changed
 * @param {{id?: string}} [more]
 */
export function select(label, options, value, changed, more = {}) {
  const field = h(
    "select",
    { id: more.id, onchange: () => changed(field.value) },
    options.map(([key, text]) => h("option", { value: key, lang: /^[a-z]{2,3}$/.test(key) ? key : null }, text)),
  );
  field.value = value;
  return h("label", { class: "field" }, h("span", null, label), field);
}

/**
 * A choice of one among few, as buttons in a row.
 * @param {string} label
 * @param {[string, string][]} options value and text
 * @param {string} value
 * @param {(value: string) => void} changed
 */
export function choice(label, options, value, changed) {
  const name = `choice-${(choice.count += 1)}`;
  return h(
    "fieldset",
    { class: "choice" },
    h("legend", null, label),
    h(
      "div",
      { class: "choices" },
      options.map(([key, text]) => {
        const radio = h("input", { type: "radio", name, value: key, onchange: () => changed(key) });
        radio.checked = key === value;
        return h("label", null, radio, h("span", null, text));
      }),
    ),
  );
}
choice.count = 0;

/**
 * @param {string} label
 * @param {boolean} on
 * @param {(on: boolean) => void} changed
 * @param {string} [id]
 */
export function toggle(label, on, changed, id) {
  const box = h("input", { type: "checkbox", role: "switch", id, onchange: () => changed(box.checked) });
  box.checked = on;
  return h("label", { class: "toggle" }, h("span", null, label), box);
}

/**
 * A sheet over the page; Escape, the button and a tap beside it close it.
 * @param {string} title
 * @param {string} closeLabel
 * @param {...Child} children
 */
export function sheet(title, closeLabel, ...children) {
  const dialog = h("dialog", { class: "sheet", "aria-label": title });
  const close = button(closeLabel, () => dialog.close(), { icon: "close", quiet: true });
  dialog.append(h("header", { class: "bar" }, h("h2", null, title), close));
  add(dialog, children);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
