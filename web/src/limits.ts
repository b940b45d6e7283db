/** Limits on the files and photos that the page takes, so that a small file cannot take all memory, or time without end. */

/** The network needs up to 500 bytes a pixel, and WebAssembly has 4 GB at most. */
export const MAX_PIXELS = 4_000_000;
/** Of a canvas, in all browsers. */
const MAX_SIDE = 32_767;
const BLOCK = 16; // pixels on a side of a block
/** Blocks: a quarter more than those pixels fill, and a few, because a picture also has blocks that it fills in part. */
const MAX_BLOCKS = Math.floor((MAX_PIXELS * 5) / (4 * BLOCK * BLOCK)) + 64;
/** Layers of the largest picture: more than networks are trained for. Those behind them have MAX_BLOCKS together. */
const LAYERS = 32;

/** The blocks of a picture of this size. */
function blocks(width: number, height: number): number {
  return Math.ceil(width / BLOCK) * Math.ceil(height / BLOCK);
}

/** By what both sides of a photo are multiplied so that the page takes it; 1 if it takes the photo as it is. */
export function scaleOf(width: number, height: number): number {
  let scale = Math.min(1, Math.sqrt(MAX_PIXELS / (width * height)), MAX_SIDE / Math.max(width, height));
  while (blocks(Math.max(1, width * scale), Math.max(1, height * scale)) > MAX_BLOCKS) scale *= 0.9;
  return scale;
}

/** A sentence for the user if the page does not take such a file; else null. */
export function tooLarge(width: number, height: number, layers: number): string | null {
  const more = (what: string, limit: number, unit: string) =>
    `Its ${what} are more than the ${limit.toLocaleString("en")}${unit} that this page takes; the command takes more.`;
  if (width * height > MAX_PIXELS) return more(`${width}×${height} pixels`, MAX_PIXELS, "");
  const count = blocks(width, height);
  if (count > MAX_BLOCKS) return more(`${count.toLocaleString("en")} blocks of 16×16 pixels`, MAX_BLOCKS, "");
  if (Math.max(width, height) > MAX_SIDE) return more(`${width}×${height} pixels`, MAX_SIDE, " on a side");
  const most = LAYERS + Math.floor(MAX_BLOCKS / count);
  return layers > most ? more(`${layers} layers`, most, " of this size") : null;
}
