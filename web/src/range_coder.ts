/** The range coder of docs/FORMAT.md: bits ↔ bytes, given the probability of each bit in 1/65536. */

import { FormatError } from "./errors";

const ONE = 65536;
const WORD = 1n << 32n;
const STATE = 1n << 64n;

function likelierBit(frequency: number): number {
  return 2 * frequency >= ONE ? 1 : 0;
}

/** Decodes or encodes one bit after the other. `known` is the bit to encode; a decoder ignores it. */
export interface BitCoder {
  code(frequency: number, known: number): number;
}

export class RangeDecoder implements BitCoder {
  private size = STATE - 1n;
  private offset: bigint; // of the point from the lower end of the interval
  /** How many bytes have been read, those beyond the end included. */
  protected at = 0;

  constructor(protected readonly payload: Uint8Array) {
    const high = this.word();
    this.offset = (high << 32n) + this.word();
  }

  code(frequency: number): number {
    const likelier = likelierBit(frequency);
    const least = BigInt(Math.min(frequency, ONE - frequency));
    const unit = this.size >> 24n;
    if (this.offset >= unit << 24n) throw new FormatError("A layer is not a code word of its coder.");
    const split = (unit << 8n) * least;
    let bit;
    if (this.offset >= split) {
      bit = likelier;
      this.offset -= split;
      this.size = (unit << 8n) * (BigInt(ONE) - least);
    } else {
      bit = 1 - likelier;
      this.size = split;
    }
    if (this.size < WORD) {
      this.offset = (this.offset << 32n) + this.word();
      this.size <<= 32n;
    }
    return bit;
  }

  /** The next four bytes, with zeros beyond the end. */
  private word(): bigint {
    let value = 0;
    for (let i = 0; i < 4; i++) value = value * 256 + (this.payload[this.at++] ?? 0);
    return BigInt(value);
  }
}

/** Decodes the beginning of a code word: its bits as long as they are certain, then the likelier value of each. */
export class PartialRangeDecoder extends RangeDecoder {
  code(frequency: number): number {
    // A bit depends on the bytes that have been read, and on no others.
    return this.at <= this.payload.length ? super.code(frequency) : likelierBit(frequency);
  }
}

export class RangeEncoder implements BitCoder {
  private low = 0n;
  private size = STATE - 1n;
  private readonly words: number[] = [];

  code(frequency: number, known: number): number {
    const likelier = likelierBit(frequency);
    const least = BigInt(Math.min(frequency, ONE - frequency));
    const unit = this.size >> 24n;
    const split = (unit << 8n) * least;
    if (known === likelier) {
      this.low += split;
      this.size = (unit << 8n) * (BigInt(ONE) - least);
      if (this.low >= STATE) this.carry();
    } else {
      this.size = split;
    }
    if (this.size < WORD) {
      this.words.push(Number(this.low >> 32n));
      this.low = (this.low << 32n) % STATE;
      this.size <<= 32n;
    }
    return known;
  }

  /** The code word: of the numbers in the last interval the one with the most zero bytes at its end, without these. */
  finish(): Uint8Array {
    let end = this.low;
    for (let zeros = 64n; zeros >= 0n; zeros -= 8n) {
      end = -(-this.low >> zeros) << zeros; // rounded up
      if (end < this.low + this.size) break;
    }
    this.low = end;
    if (this.low >= STATE) this.carry();
    const bytes = [...this.words, Number(this.low >> 32n), Number(this.low % WORD)].flatMap((word) =>
      [24, 16, 8, 0].map((shift) => (word >>> shift) & 0xff),
    );
    let length = bytes.length;
    while (length && bytes[length - 1] === 0) length--;
    return Uint8Array.from(bytes.slice(0, length));
  }

  private carry(): void {
    this.low -= STATE;
    let at = this.words.length - 1;
    while (this.words[at] === 0xffffffff) this.words[at--] = 0;
    this.words[at]++;
  }
}
