/** The page: takes photos and files, and shows what the worker reports. */

import { write } from "./bitstream";
import { Jpegs } from "./jpeg";
import { scaleOf } from "./limits";
import { FileParts, Layer, Order, Report } from "./messages";
import { metadataBlocks, withoutOrientation } from "./metadata";
import { ALPHA, alphaBlocks, applyAlpha, unpackAlpha } from "./transparency";
import { turn } from "./turn";

function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const [choose, save, savePng] = ["choose", "save", "save-png"].map((id) => element<HTMLButtonElement>(id));
const input = element<HTMLInputElement>("file");
const slider = element<HTMLInputElement>("layer");
const keep = element<HTMLInputElement>("keep");
const canvas = element<HTMLCanvasElement>("picture");
const jpegImage = element<HTMLImageElement>("jpeg");
const bar = element<HTMLProgressElement>("progress");

/** The file that is shown. */
interface Shown {
  name: string;
  /** Show each new layer; not once the user has chosen an older one. */
  follow: boolean;
  layers: Layer[];
  count: number;
  jpegs: Jpegs | null;
  file: FileParts | null;
  alpha: Uint8Array | null;
  /** The pictures that were left out are being computed. */
  completing: boolean;
  note: string;
}

let job = 0;
let shown: Shown | null = null;
const worker = new Worker("worker.js", { type: "module" });

function order(message: Order, transfer: Transferable[] = []): void {
  worker.postMessage(message, transfer);
}

let loaded = 0;

worker.onmessage = ({ data }: MessageEvent<Report>) => {
  if ("job" in data && data.job !== job) return;
  switch (data.type) {
    case "loading":
      loaded += data.bytes;
      if (!shown?.layers.length) say(`Loading the network: ${megabytes(loaded)} …`); // else for a file that is shown no more
      break;
    case "ready":
      document.body.dataset.ready = "yes";
      choose.disabled = false;
      bar.hidden = true;
      loaded = 0; // another model may be loaded for a file
      say("");
      keepForOffline();
      start();
      break;
    case "broken":
      fail(`The page could not be loaded: ${data.message}`);
      break;
    case "progress":
      bar.hidden = false;
      if (data.total) bar.value = data.received / data.total;
      else bar.removeAttribute("value");
      say(`${bytes(data.received)}${data.total ? ` of ${bytes(data.total)}` : ""} have arrived.`);
      break;
    case "header":
      shown!.count = data.layers;
      canvas.width = data.width;
      canvas.height = data.height;
      break;
    case "preview":
      preview(data.pixels, data.bytes);
      break;
    case "layer":
      addLayer(data.layer);
      break;
    case "picture":
      addPicture(data.number, data.pixels);
      break;
    case "done":
      void finish(data.file, data.warning);
      break;
    case "error":
      fail(`${shown!.name}: ${data.message}`);
      break;
  }
};
worker.onerror = (event) => fail(`The page could not be loaded: ${event.message ?? "worker.js is not there."}`);

/** All of the file is there: its alpha too, which comes behind the layers. */
async function finish(file: FileParts, warning: string | null): Promise<void> {
  const mine = job;
  const { width, height } = file.header;
  const block = file.blocks.find(({ kind }) => kind === ALPHA);
  const alpha = block && (await unpackAlpha(block.content, width, height));
  if (mine !== job) return;
  if (alpha) {
    for (const { pixels } of shown!.layers) if (pixels) applyAlpha(pixels, alpha);
    shown!.alpha = alpha;
  }
  shown!.file = file;
  if (shown!.layers.length) draw();
  save.disabled = false;
  bar.hidden = true;
  say(shown!.note);
  if (warning) fail(warning);
  else if (alpha === null) fail("Its transparency is damaged. The picture is shown over white.");
  document.body.dataset.done = String(mine);
}

/** Begin with another file. */
function begin(name: string, jpegs: Jpegs | null, note = ""): void {
  job++;
  shown = { name, follow: true, layers: [], count: 0, jpegs, file: null, alpha: null, completing: false, note };
  element("error").hidden = true;
  element("result").hidden = true;
  element("beside").hidden = true;
  element("table").replaceChildren();
  save.disabled = true;
  bar.hidden = false;
  bar.removeAttribute("value");
}

function openFile(source: Blob | string, name: string): void {
  begin(name, null);
  say(`Opening ${name} …`);
  order({ type: "open", job, source });
}

async function openPhoto(file: File): Promise<void> {
  begin(file.name, null);
  const mine = job;
  const original = new Uint8Array(await file.arrayBuffer());
  const { content, orientation } = withoutOrientation(original);
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([content as Uint8Array<ArrayBuffer>]));
  } catch {
    if (mine === job) fail(`${file.name}: It is neither an .rnnc file nor a picture that this browser can read.`);
    return;
  }
  if (mine !== job) return;
  const photo = document.createElement("canvas");
  const { width, height, matrix } = turn(bitmap, orientation);
  const scale = scaleOf(width, height);
  photo.width = Math.max(1, Math.floor(width * scale));
  photo.height = Math.max(1, Math.floor(height * scale));
  const context = photo.getContext("2d", { willReadFrequently: true })!;
  context.imageSmoothingEnabled = scale < 1;
  context.imageSmoothingQuality = "high";
  context.scale(photo.width / width, photo.height / height);
  context.transform(...matrix);
  context.drawImage(bitmap, 0, 0);
  const alpha = await alphaBlocks(context.getImageData(0, 0, photo.width, photo.height));
  context.resetTransform();
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "white"; // under transparent parts
  context.fillRect(0, 0, photo.width, photo.height);
  const { data } = context.getImageData(0, 0, photo.width, photo.height);
  const blocks = [...(await metadataBlocks(original, photo.width, photo.height)), ...alpha];
  if (mine !== job) return;
  const after = `${photo.width}×${photo.height}`;
  const scaled = `The photo of ${width}×${height} pixels was scaled down to ${after}: this page takes no larger ones.`;
  begin(file.name, new Jpegs(photo), scale < 1 ? scaled : "");
  say(`Compressing ${file.name} … ${shown!.note}`);
  order(
    { type: "compress", job, pixels: data, width: photo.width, height: photo.height, blocks },
    [data.buffer],
  );
}

let taken = 0; // files that were chosen or dropped

/** Open a file or a photo; if it cannot be read, say so. */
function take(file: File): void {
  const number = ++taken;
  read(file, number).catch((error) => {
    if (number === taken) fail(`${file.name} cannot be read: ${error.message ?? error}`);
  });
}

async function read(file: File, number: number): Promise<void> {
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  if (number !== taken) return; // another file was chosen meanwhile
  const isOurs = file.name.endsWith(".rnnc") || new TextDecoder("latin1").decode(head) === "RNNC";
  await (isOurs ? openFile(file, file.name) : openPhoto(file));
}

/** Show what a part of the first layer gives, until the layer is whole. */
function preview(pixels: ImageData, count: number): void {
  element("result").hidden = false;
  slider.disabled = true;
  canvas.getContext("2d")!.putImageData(pixels, 0, 0);
  canvas.setAttribute("aria-label", `${shown!.name}, a part of layer 1`);
  canvas.dataset.layer = "part of 1";
  element("layer-number").textContent = `a part of 1, of ${shown!.count}`;
  element("caption").textContent =
    `A preview from the first ${bytes(count)}, a part of layer 1. The rest of the layer is guessed, and its check ` +
    "against damage has not been made.";
}

function addLayer(layer: Layer): void {
  const { layers, count, follow, jpegs } = shown!;
  layers.push(layer);
  const row = document.createElement("tr");
  for (const text of [layers.length, bytes(layer.bytes, ""), bpp(layer), layer.hash ?? "–"]) {
    row.appendChild(document.createElement("td")).textContent = String(text);
  }
  element("table").append(row);
  slider.max = String(layers.length);
  slider.disabled = false;
  element("result").hidden = false;
  if (jpegs) {
    bar.value = layers.length / count;
    say(`Layer ${layers.length} of ${count} is written. ${shown!.note}`);
  }
  if (follow && layer.pixels) slider.value = String(layers.length);
  draw();
}

/** The picture of a layer that was added without one. */
function addPicture(number: number, pixels: ImageData): void {
  const { layers, alpha } = shown!;
  if (alpha) applyAlpha(pixels, alpha);
  layers[number - 1].pixels = pixels;
  if (chosen().number === number) draw();
}

function chosen(): { number: number; layer: Layer } {
  const number = Number(slider.value);
  return { number, layer: shown!.layers[number - 1] };
}

function draw(): void {
  const { number, layer } = chosen();
  const { name, count, jpegs } = shown!;
  const caption = `rnncodec: layer ${number} of ${count}, ${bytes(layer.bytes)}, ${bpp(layer)} bpp`;
  element("layer-number").textContent = `${number} of ${count}`;
  element("caption").textContent = layer.pixels ? caption : `${caption}; its picture is being computed …`;
  savePng.disabled = !layer.pixels;
  if (layer.pixels) {
    canvas.getContext("2d")!.putImageData(layer.pixels, 0, 0);
    canvas.setAttribute("aria-label", `${name}, layer ${number}`);
    canvas.dataset.layer = String(number);
  } else if (shown!.file && !shown!.completing) {
    shown!.completing = true;
    order({ type: "pictures", job });
  }
  if (jpegs) void drawJpeg(jpegs, layer);
}

async function drawJpeg(jpegs: Jpegs, layer: Layer): Promise<void> {
  const file = await jpegs.ofSize(layer.bytes);
  if (shown?.jpegs !== jpegs || chosen().layer !== layer) return; // another one is wanted by now
  URL.revokeObjectURL(jpegImage.src);
  jpegImage.src = URL.createObjectURL(file);
  jpegImage.alt = `${shown.name}, as JPEG`;
  const rate = (8 * file.size) / (canvas.width * canvas.height);
  const smallest = file.size > layer.bytes ? ", the smallest that this browser writes" : "";
  element("jpeg-caption").textContent = `JPEG: ${bytes(file.size)}, ${rate.toFixed(3)} bpp${smallest}`;
  element("beside").hidden = false;
}

function download(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The file of the layers up to the chosen one, with its metadata if they are wanted. */
function truncated(): Uint8Array<ArrayBuffer> {
  const { header, payloads, blocks } = shown!.file!;
  return write(header, payloads.slice(0, chosen().number), blocks.filter(({ kind }) => keep.checked || kind === ALPHA));
}

function stem(): string {
  return shown!.name.split("/").pop()!.replace(/\.[^.]*$/, "");
}

function bytes(count: number, unit = " bytes"): string {
  return count.toLocaleString("en") + unit;
}

function megabytes(count: number): string {
  return `${(count / 1e6).toFixed(1)} MB`;
}

function bpp(layer: Layer): string {
  return ((8 * layer.bytes) / (canvas.width * canvas.height)).toFixed(3);
}

function say(text: string): void {
  element("status").textContent = text;
}

function fail(text: string): void {
  element("error").textContent = text;
  element("error").hidden = false;
  bar.hidden = true;
  say("");
}

/** Open the file that the address of the page names. Only of the page's own site: see docs/PAGE.md. */
function start(): void {
  const source = new URLSearchParams(location.search).get("src");
  if (!source) return;
  const address = URL.canParse(source, location.href) ? new URL(source, location.href) : null;
  if (address?.origin === location.origin) openFile(address.href, source);
  else fail(`${source} is not opened: a link can name files of this site alone. Save the file, and choose it here.`);
}

/** Let the browser keep the page's files, so that it works without a network. It does so over https and on localhost. */
function keepForOffline(): void {
  navigator.serviceWorker?.register("service_worker.js", { updateViaCache: "none" }).catch(() => undefined);
}

choose.onclick = () => input.click();
input.onchange = () => {
  if (input.files?.[0]) take(input.files[0]);
  input.value = "";
};
slider.oninput = () => {
  shown!.follow = Number(slider.value) === shown!.layers.length;
  draw();
};
save.onclick = () => download(new Blob([truncated()]), `${stem()}.rnnc`);
savePng.onclick = () =>
  canvas.toBlob((blob) => (blob ? download(blob, `${stem()}.png`) : fail("This browser cannot write the picture as PNG.")));
window.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("over");
};
window.ondragleave = () => document.body.classList.remove("over");
window.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const file = event.dataTransfer?.files[0];
  if (file && !choose.disabled) take(file);
};
