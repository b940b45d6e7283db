/** The order in which a checkerboard codes positions and channels; see docs/FORMAT.md. */

export const STAGES = 4;

export function stageOf(y: number, x: number): number {
  if ((y + x) % 2) return 3;
  if (y % 2) return 2;
  return (y + x) % 4 ? 1 : 0;
}

/** The channels of each run: its first, and the one behind its last. */
export function channelRuns(bits: number, groups: number): [number, number][] {
  const count = Math.min(groups, bits);
  const start = (g: number) => Math.ceil((g * bits) / count);
  return Array.from({ length: count }, (_, g) => [start(g), start(g + 1)]);
}

/** An offset `dy, dx` to a neighbour, and the number `k` of its block of rows in the matrix `window`. */
export interface Neighbour {
  dy: number;
  dx: number;
  k: number;
}

/** For each stage, the neighbours within `radius` that earlier stages hold. */
export function earlierNeighbours(radius: number): Neighbour[][] {
  const far = 4 * (radius + 1); // so that no coordinate is negative
  const corner = [
    [0, 0],
    [0, 2],
    [1, 1],
    [0, 1],
  ]; // a position of each stage
  return corner.map(([y, x], stage) => {
    const found: Neighbour[] = [];
    let k = 0;
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) {
        if (!dy && !dx) continue;
        if (stageOf(far + y + dy, far + x + dx) < stage) found.push({ dy, dx, k });
        k++;
      }
    }
    return found;
  });
}
