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

const PACKET = 320; // samples at 16 kHz: 20 ms
const UPLINK = { codec: "opus", sampleRate: 16000, numberOfChannels: 1, bitrate: 28_000 };

/** Whether this browser can send Opus; a tenth of the data of PCM. */
export async function opusEncodes() {
  try {
    return "AudioEncoder" in window && (await AudioEncoder.isConfigSupported(UPLINK)).supported === true;
  } catch {
    return false;
  }
}

/**
 * Captured sound to packets of 20 ms, each with the position of its first sample.
 */
export class OpusEncoder {
  /**
   * @param {(position: number, packet: Uint8Array) => void} onpacket
   * @param {() => void} onfail what was not yet handed on is lost to this encoder
   */
  constructor(onpacket, onfail) {
    /** @type {number[]} positions of packets that are being encoded */
    this._positions = [];
    this._encoder = new AudioEncoder({
      output: (chunk) => {
        const packet = new Uint8Array(chunk.byteLength);
        chunk.copyTo(packet);
        const position = this._positions.shift();
        if (position !== undefined) onpacket(position, packet);
      },
      error: onfail,
    });
    this._encoder.configure(UPLINK);
    this._time = 0;
  }

  /**
   * @param {number} position
   * @param {Int16Array} samples whole packets
   */
  push(position, samples) {
    for (let at = 0; at < samples.length; at += PACKET) {
      this._positions.push(position + at);
      const data = samples.slice(at, at + PACKET);
      const audio = new AudioData({ format: "s16", sampleRate: 16000, numberOfFrames: PACKET, numberOfChannels: 1, timestamp: this._time, data });
      this._time += 20_000;
      this._encoder.encode(audio);
      audio.close();
    }
  }

  /** Hands on what is still inside. */
  async finish() {
    if (this._encoder.state === "configured") await this._encoder.flush();
  }
}
