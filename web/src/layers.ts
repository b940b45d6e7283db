/** The codes of a layer ↔ its payload, as docs/FORMAT.md specifies. */

import type { ContextModel, PictureContext } from "./context_model";
import { FormatError } from "./errors";
import type { Codes } from "./predictor";
import { BitCoder, PartialRangeDecoder, RangeDecoder, RangeEncoder } from "./range_coder";

const SLACK = 16;

/** The least bytes of a code word of so many bits. */
function leastSize(bits: number): number {
  return Math.max(0, Math.floor((bits * Math.log2(65536 / 65535)) / 8) - SLACK);
}

/** The layers of one picture, in order. Without a context model the payloads hold raw bits. */
export class Layers {
  private readonly context: PictureContext | null;
  /** Bits of a layer. */
  private readonly count: number;
  /** Bytes of a layer of raw bits. */
  private readonly raw: number;

  constructor(
    private readonly bits: number,
    private readonly h: number,
    private readonly w: number,
    context: ContextModel | null,
  ) {
    this.context = context && context.start();
    this.count = bits * h * w;
    this.raw = Math.ceil(this.count / 8);
  }

  decode(payload: Uint8Array): Codes {
    const { count, raw } = this;
    let codes: Codes;
    if (this.context === null || payload.length >= raw) {
      if (payload.length !== raw) {
        throw new FormatError(`A layer has ${payload.length} bytes; its picture needs ${raw}.`);
      }
      codes = this.unpack(payload);
    } else {
      if (payload.length < leastSize(count)) {
        throw new FormatError(`A layer has ${payload.length} bytes, too few for a picture of the size in its header.`);
      }
      codes = this.run(this.context, new RangeDecoder(payload));
    }
    this.context?.remember(codes);
    return codes;
  }

  /**
   * The likely codes of the next layer, of whose payload of `length` bytes the `beginning` is at hand. Null if the
   * payload holds raw bits, which say nothing about each other.
   */
  guess(beginning: Uint8Array, length: number): Codes | null {
    if (this.context === null || length >= this.raw) return null;
    return this.run(this.context, new PartialRangeDecoder(beginning));
  }

  encode(codes: Codes): Uint8Array {
    const raw = this.pack(codes);
    if (this.context === null) return raw;
    const coder = new RangeEncoder();
    this.context.run(coder, { ...codes, values: codes.values.slice() });
    this.context.remember(codes);
    const coded = coder.finish();
    return leastSize(codes.values.length) <= coded.length && coded.length < raw.length ? coded : raw;
  }

  private run(context: PictureContext, decoder: BitCoder): Codes {
    const codes = { values: new Int8Array(this.count), h: this.h, w: this.w };
    context.run(decoder, codes);
    return codes;
  }

  private unpack(payload: Uint8Array): Codes {
    const { bits, h, w } = this;
    const values = new Int8Array(this.count);
    for (let c = 0, i = 0; c < bits; c++) {
      for (let place = 0; place < h * w; place++, i++) {
        values[place * bits + c] = (payload[i >> 3] >> (7 - (i & 7))) & 1 ? 1 : -1;
      }
    }
    return { values, h, w };
  }

  private pack(codes: Codes): Uint8Array {
    const { bits, h, w } = this;
    const payload = new Uint8Array(this.raw);
    for (let c = 0, i = 0; c < bits; c++) {
      for (let place = 0; place < h * w; place++, i++) {
        if (codes.values[place * bits + c] > 0) payload[i >> 3] |= 128 >> (i & 7);
      }
    }
    return payload;
  }
}
