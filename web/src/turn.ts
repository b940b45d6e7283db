/** How a photo is turned upright. */

type Matrix = [number, number, number, number, number, number];

/** The size of a photo that is turned upright from an orientation of EXIF, and the transform of a canvas that does it. */
export function turn(
  { width: w, height: h }: { width: number; height: number },
  orientation: number,
): { width: number; height: number; matrix: Matrix } {
  const matrices: Matrix[] = [
    [1, 0, 0, 1, 0, 0],
    [-1, 0, 0, 1, w, 0],
    [-1, 0, 0, -1, w, h],
    [1, 0, 0, -1, 0, h],
    [0, 1, 1, 0, 0, 0],
    [0, 1, -1, 0, h, 0],
    [0, -1, -1, 0, h, w],
    [0, -1, 1, 0, 0, w],
  ];
  const [width, height] = orientation > 4 ? [h, w] : [w, h];
  return { width, height, matrix: matrices[orientation - 1] };
}
