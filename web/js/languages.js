// Languages as the people who speak them write them.

const RTL = new Set(["ar", "dv", "fa", "he", "ku", "ps", "sd", "ug", "ur", "yi"]);

/** @param {string} code */
export function nativeName(code) {
  try {
    const name = new Intl.DisplayNames([code], { type: "language", fallback: "code" }).of(code) ?? code;
    return name.charAt(0).toLocaleUpperCase(code) + name.slice(1);
  } catch {
    return code;
  }
}

/** @param {string} code */
export const direction = (code) => (RTL.has(code) ? "rtl" : "ltr");

/** What this person reads, best first. */
export function preferred() {
  return [...new Set(navigator.languages.map((tag) => tag.split("-")[0]?.toLowerCase() ?? "en"))];
}

/**
 * @param {string[]} codes
 * @returns {string[]} those the person reads first, then the others by their own names
 */
export function ordered(codes) {
  const mine = preferred().filter((code) => codes.includes(code));
  const others = codes.filter((code) => !mine.includes(code));
  return [...mine, ...others.sort((a, b) => nativeName(a).localeCompare(nativeName(b)))];
}
