/** The files that people chose or dropped, with their paths below the folder that they are in. */

/** Return `[{file, path}]` of an input's files. */
export function chosen(files) {
  return [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

/** Yield `{file, path}` of each file that was dropped, those in folders too. */
export async function* dropped(transfer) {
  // The items are only there until the event is over; what they become stays.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  const files = [...transfer.files];
  if (entries.every((entry) => entry)) {
    for (const entry of entries) yield* walk(entry);
  } else {
    yield* chosen(files);
  }
}

/** `file` is null where the browser cannot read what was dropped. */
async function* walk(entry) {
  const path = entry.fullPath.slice(1);
  try {
    if (entry.isFile) {
      yield { file: await called(entry, "file"), path };
      return;
    }
    const reader = entry.createReader();
    let entries;
    do {
      entries = await called(reader, "readEntries"); // some at a time, and none at the end
      for (const each of entries) yield* walk(each);
    } while (entries.length);
  } catch {
    yield { file: null, path };
  }
}

/** Call a method that takes two callbacks; return what the first gets. */
function called(object, method) {
  return new Promise((resolve, reject) => object[method](resolve, reject));
}
