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

/** Tells what hinders the languages that meet in a room. The same is told once. */
export class Served {
  /** @param {import("./room.js").Room} room */
  constructor(room) {
    this.room = room;
    /** @type {Facts} */
    this.facts = { pairs: {}, alone: {} };
    this._told = "";
  }

  /**
   * @param {[string, string][]} pairs from and to; the worst of them is told, and nothing where all are served
   * @param {boolean} [passing] only for a while: it stands over what is read
   */
  tell(pairs, passing = false) {
    const found = (/** @type {string} */ how) => pairs.find(([from, to]) => served(this.facts, from, to) === how);
    const missing = found("unserved");
    const alone = missing ? undefined : found("alone");
    const now = `${missing} ${alone} ${passing}`;
    if (now === this._told) return;
    this._told = now;
    if (missing) this.room.tell("served", "trouble.unserved", { values: { from: nativeName(missing[0]), to: nativeName(missing[1]) }, passing });
    else if (alone) this.room.tell("served", "listen.alone", { passing });
    else this.room.untell("served");
  }
}

/**
 * What is being spoken in the room, as far as it is known.
 * @param {import("./captions.js").Captions} captions
 */
export const spoken = (captions) =>
  [...captions.channels.values()].filter(({ open }) => open).map((channel) => channel.words.at(-1)?.language ?? channel.language);
