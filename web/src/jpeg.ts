/** JPEG files of a photo, as this browser writes them, to compare with. */

const BEST = 100;

/** JPEG files of one photo, by quality from 0 to 100; each is written once. */
export class Jpegs {
  private readonly files = new Map<number, Promise<Blob>>();

  constructor(private readonly photo: HTMLCanvasElement) {}

  /** The best JPEG of at most so many bytes; if there is none, the smallest. */
  async ofSize(bytes: number): Promise<Blob> {
    let [low, high] = [0, BEST];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((await this.at(middle)).size <= bytes) low = middle;
      else high = middle - 1;
    }
    return this.at(low);
  }

  private at(quality: number): Promise<Blob> {
    let file = this.files.get(quality);
    if (!file) {
      file = new Promise((resolve, reject) =>
        this.photo.toBlob(
          (blob) => (blob ? resolve(blob) : reject(new Error("This browser writes no JPEG."))),
          "image/jpeg",
          quality / BEST,
        ),
      );
      this.files.set(quality, file);
    }
    return file;
  }
}
