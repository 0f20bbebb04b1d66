// Opus with the browser's own decoder (WebCodecs). Each frame of ours is decoded by itself.

const RATE = 48000; // Hz
const CONFIG = { codec: "opus", sampleRate: RATE, numberOfChannels: 1 };

/** Whether this browser can; without it, PCM is asked for. */
export async function opusWorks() {
  try {
    return "AudioDecoder" in window && (await AudioDecoder.isConfigSupported(CONFIG)).supported === true;
  } catch {
    return false;
  }
}

/**
 * @param {Uint8Array} payload packets, each after its length (16 bits, little-endian)
 * @returns {Promise<{rate: number, samples: Float32Array}>}
 */
export function decodeOpus(payload) {
  return new Promise((resolve, reject) => {
    /** @type {Float32Array[]} */
    const parts = [];
    let rate = RATE;
    const decoder = new AudioDecoder({
      output: (data) => {
        rate = data.sampleRate;
        const part = new Float32Array(data.numberOfFrames);
        data.copyTo(part, { planeIndex: 0, format: "f32-planar" });
        data.close();
        parts.push(part);
      },
      error: reject,
    });
    decoder.configure(CONFIG);
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    for (let at = 0, timestamp = 0; at + 2 <= payload.length; timestamp += 20_000) {
      const size = view.getUint16(at, true);
      decoder.decode(new EncodedAudioChunk({ type: "key", timestamp, data: payload.slice(at + 2, at + 2 + size) }));
      at += 2 + size;
    }
    decoder.flush().then(() => {
      decoder.close();
      const samples = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        samples.set(part, at);
        at += part.length;
      }
      resolve({ rate, samples });
    }, reject);
  });
}
