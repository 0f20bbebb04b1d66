// Captions alone, on nothing: for OBS and projectors. Parameters behind the token: lang, size (px), lines, position
// (bottom or top), align (left or center), shade (0 or 1), fade (s after the last word; 0: it stays), code (of the room).
// Nothing but captions is ever shown, unless the overlay cannot have any: then its operator reads why.

import { setUp } from "../i18n/index.js";
import { preferred } from "../languages.js";
import { fragment, Room } from "../room.js";
import { Roll } from "../roll.js";

const FADED_MS = 800; // the transition of css/overlay.css is over

await setUp("speak.overlay");
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

const fade = option("fade") === "0" ? 0 : between("fade", 1, 3600, 10);
let shown = ""; // what stood here last
let still = 0;

const wanted = () => ({ captions: [language], voices: [], source: false, tentative: true, opus: false });
/** @type {Room} */
const room = new Room(wanted(), {
  status: () => (room.notices.hidden = room.connection.status.phase !== "over" || room.captions.segments.length > 0),
  message: (message) => {
    if (message.type !== "welcome") return;
    if (!message.recovered) roll.begin(false);
    if (message.languages.includes(language)) return;
    language = message.languages[0] ?? language;
    room.connection.want(wanted());
    roll.show(language);
  },
});
const roll = new Roll(room.captions);
room.captions.changed = () => {
  const { captions } = room;
  roll.update();
  root.dataset.empty = String(captions.segments.length === 0 && captions.tails.size === 0);
  const last = captions.segments.at(-1);
  const now = `${last?.id} ${last?.texts.get(language)?.text ?? ""} ${captions.tentative(language).map(({ text }) => text).join(" ")}`;
  if (now !== shown) spoken(now);
};

/** Words that nothing followed for a while go; the next ones do not stand behind them. @param {string} now */
function spoken(now) {
  shown = now;
  root.dataset.still = "false";
  clearTimeout(still);
  if (fade) still = window.setTimeout(rest, 1000 * fade);
}

function rest() {
  root.dataset.still = "true";
  still = window.setTimeout(() => roll.begin(), FADED_MS);
}
room.connection.code = option("code");
room.notices.hidden = true;
app.append(room.notices, roll.element);
roll.show(language);
room.open();
app.dataset.ready = "yes";
Object.assign(window, { tsuyaku: { room, text: () => room.captions.text(language) } });
