// Captions alone, on nothing: for OBS and projectors. Parameters behind the token: lang, size (px), lines, position
// (bottom or top), align (left or center), shade (0 or 1), stay (s that the last caption stays; 0 for ever), code (of the
// room). Nothing but captions is ever shown, unless
// the overlay cannot have any: then its operator reads why.

import { setUp } from "../i18n/index.js";
import { preferred } from "../languages.js";
import { fragment, Room } from "../room.js";
import { Roll } from "../roll.js";

await setUp();
const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const query = new URLSearchParams(location.search);
const { options } = fragment();
const option = (/** @type {string} */ name) => options.get(name) ?? query.get(name) ?? "";
const between = (/** @type {string} */ name, /** @type {number} */ least, /** @type {number} */ most, /** @type {number} */ usual) =>
  Math.min(most, Math.max(least, Number.parseFloat(option(name)) || usual));

let language = option("lang") || preferred()[0] || "en";
const root = document.documentElement;
root.dataset.empty = "true";
root.dataset.position = option("position") === "top" ? "top" : "bottom";
root.dataset.align = option("align") === "center" ? "center" : "left";
root.dataset.shade = option("shade") === "0" ? "no" : "yes";
root.style.setProperty("--overlay-size", `${between("size", 12, 200, 42)}px`);
root.style.setProperty("--lines", String(Math.round(between("lines", 1, 6, 2))));

const wanted = () => ({ captions: [language], voices: [], source: false, tentative: true, opus: false });
/** @type {Room} */
const room = new Room(wanted(), {
  status: () => (room.notices.hidden = room.connection.status.phase !== "over" || room.captions.segments.length > 0),
  message: (message) => {
    if (message.type !== "welcome" || message.languages.includes(language)) return;
    language = message.languages[0] ?? language;
    room.connection.want(wanted());
    roll.show(language);
  },
});
const roll = new Roll(room.captions);
const staysMs = 1000 * (option("stay") === "0" ? Infinity : between("stay", 1, 3600, 15));
let clearing = 0;
room.captions.changed = () => {
  roll.update();
  root.dataset.empty = String(room.captions.segments.length === 0 && room.captions.tails.size === 0);
  clearTimeout(clearing);
  if (staysMs < Infinity) clearing = window.setTimeout(() => (root.dataset.empty = "true"), staysMs);
};
room.connection.code = option("code");
room.notices.hidden = true;
app.append(room.notices, roll.element);
roll.show(language);
room.open();
app.dataset.ready = "yes";
Object.assign(window, { tsuyaku: { room, text: () => room.captions.text(language) } });
