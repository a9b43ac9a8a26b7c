/** Small pictures of files that are pictures. */

/** CSS pixels of a side, and how many device pixels each has at most. */
const SIDE = 40;
const DENSITY = 2;

/** Pictures that take too much memory to unpack are not shown. */
const LARGEST = 50_000_000;

/** What a browser shows in an `<img>` and that runs nothing. */
const SHOWN = /\.(avif|gif|jpe?g|png|webp)$/i;

/** Return a canvas with the picture in a file; null where it is none. */
export async function pictureOf(file) {
  if (!file.type.startsWith("image/") || file.size > LARGEST) return null;
  try {
    const image = await createImageBitmap(file, { resizeHeight: SIDE * DENSITY });
    const canvas = document.createElement("canvas");
    canvas.className = "picture";
    canvas.height = canvas.width = SIDE * DENSITY;
    canvas.getContext("2d").drawImage(image, (canvas.width - image.width) / 2, 0);
    image.close();
    return canvas;
  } catch {
    return null;
  }
}

/** Return an `<img>` of a saved file; null where it is no picture. */
export function pictureAt(url) {
  if (!SHOWN.test(new URL(url, document.baseURI).pathname)) return null;
  const image = new Image();
  image.className = "picture";
  image.alt = "";
  image.loading = "lazy";
  image.src = url;
  image.onerror = () => image.remove();
  return image;
}
