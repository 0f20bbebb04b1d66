// Whether what is spoken reaches a reader in their language, as the server says of itself in `/api/info`.

import { nativeName } from "./languages.js";

/** @typedef {Pick<import("./api.js").Info, "pairs" | "alone">} Facts */

/**
 * How one language is translated into another: `alone` where only Llama does it, `unserved` where nothing does.
 * @param {Facts} facts
 * @param {string} from "" and "auto" are not known
 * @param {string} to
 * @returns {"served" | "alone" | "unserved"}
 */
export function served({ pairs, alone }, from, to) {
  if (from === to || !from || from === "auto" || !Object.keys(pairs).length) return "served";
  if (!pairs[from]?.includes(to)) return "unserved";
  return alone[from]?.includes(to) ? "alone" : "served";
}

/**
 * Tells, or takes back, what hinders the languages that meet here: the worst of it.
 * @param {import("./room.js").Room} room
 * @param {Facts} facts
 * @param {[string, string][]} pairs
 */
export function tellServed(room, facts, pairs) {
  const found = (/** @type {string} */ how) => pairs.find(([from, to]) => served(facts, from, to) === how);
  const missing = found("unserved");
  const alone = found("alone");
  if (!missing) room.untell("unserved");
  else room.tell("unserved", "trouble.unserved", { values: { from: nativeName(missing[0]), to: nativeName(missing[1]) } });
  if (missing || !alone) room.untell("alone");
  else if (!room.told("alone")) room.tell("alone", "listen.alone");
}

/**
 * What is being spoken in the room, as far as it is known.
 * @param {import("./captions.js").Captions} captions
 */
export const spoken = (captions) =>
  [...captions.channels.values()].filter(({ open }) => open).map((channel) => channel.words.at(-1)?.language ?? channel.language);
