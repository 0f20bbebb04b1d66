// The few things that are asked over HTTP: what the server can do, a new room, the recording.

const RETRY_S = 5; // where the server does not say

/** @typedef {{address: string, languages: string[], voices: string[], sources: string[], pairs: Record<string, string[]>, alone: Record<string, string[]>, demo: {language: string} | null}} Info */

/** @type {Info} */
const UNKNOWN = { address: "", languages: ["en", "pt", "ja", "es", "fr", "de"], voices: [], sources: [], pairs: {}, alone: {}, demo: { language: "en" } };

/**
 * Why a request did not succeed: `code` is the server's, `busy` where it is refused for now and may be asked for again
 * after `retryMs`, `server` where nothing answered.
 */
export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {number} [retryMs]
   */
  constructor(code, retryMs = 0) {
    super(code);
    this.code = code;
    this.retryMs = retryMs;
  }
}

/** @returns {Promise<Info>} */
export async function info() {
  try {
    return { ...UNKNOWN, ...(await call("GET", "api/info")) };
  } catch {
    return UNKNOWN;
  }
}

/**
 * @param {{code?: string, keep_s?: number}} [options]
 * @returns {Promise<{host: string, speaker: string, listener: string}>}
 */
export const createRoom = (options = {}) => call("POST", "api/rooms", options);

/** A room in which the bundled recording is played. @returns {Promise<{listener: string}>} */
export const createDemo = () => call("POST", "api/demo", {});

/**
 * The code of a link, drawn by our own server; the link travels in the request's body, which is in no log.
 * @param {string} text
 * @returns {Promise<string>} address of the picture
 */
export async function qr(text) {
  return URL.createObjectURL(await (await request("POST", "api/qr", { text })).blob());
}

/**
 * The text of a room as the server has it; `cut` where its beginning is no longer kept.
 * @param {string} token
 * @param {string} format
 * @param {string} language
 * @param {string} code of the room, where it has one
 * @returns {Promise<{text: string, cut: boolean}>}
 */
export async function transcript(token, format, language, code) {
  const query = new URLSearchParams({ format, language });
  const response = await request("GET", `api/transcript?${query}`, undefined, {
    authorization: `Bearer ${token}`,
    ...(code ? { "room-code": encodeURIComponent(code) } : {}),
  });
  return { text: await response.text(), cut: response.headers.get("transcript-cut") === "1" };
}

/**
 * @param {"GET" | "POST"} method
 * @param {string} path
 * @param {unknown} [body]
 */
const call = async (method, path, body) => (await request(method, path, body)).json();

/**
 * @param {"GET" | "POST"} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {Record<string, string>} [headers]
 */
async function request(method, path, body, headers = {}) {
  let response;
  try {
    response = await fetch(new URL(path, new URL(".", location.href)), {
      method,
      referrerPolicy: "no-referrer",
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError("server");
  }
  if (response.ok) return response;
  if (response.status === 429 || response.status === 503) throw new ApiError("busy", 1000 * (Number(response.headers.get("retry-after")) || RETRY_S));
  const { code } = await response.json().catch(() => ({}));
  throw new ApiError(typeof code === "string" ? code : "server");
}
