/** SHA-256 (FIPS 180-4), for pages by plain http, where browsers have no `crypto.subtle`. */

/** The first 32 bits of the fractional parts of roots of the first primes (sections 4.2.2, 5.3.3). */
const fraction = (root) => ((root % 1) * 2 ** 32) | 0;
const PRIMES = [];
for (let number = 2; PRIMES.length < 64; number += 1) {
  if (PRIMES.every((prime) => number % prime)) PRIMES.push(number);
}
const CONSTANTS = PRIMES.map((prime) => fraction(Math.cbrt(prime)));
const INITIAL = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

const rotate = (word, count) => (word >>> count) | (word << (32 - count));

/** Return the 32 bytes of the digest of some bytes. */
export function sha256(bytes) {
  const padded = pad(bytes);
  let hash = INITIAL;
  for (let at = 0; at < padded.byteLength; at += 64) {
    hash = compress(hash, schedule(new DataView(padded.buffer, at, 64)));
  }
  const digest = new DataView(new ArrayBuffer(32));
  hash.forEach((word, index) => digest.setInt32(4 * index, word));
  return new Uint8Array(digest.buffer);
}

/** Append a 1 bit, zeros, and the length in bits, to whole blocks (section 5.1.1). */
function pad(bytes) {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - 8, 8n * BigInt(bytes.length));
  return padded;
}

/** Return the 64 words that are made of a block (section 6.2.2, step 1). */
function schedule(block) {
  const words = Array.from({ length: 16 }, (_, index) => block.getInt32(4 * index));
  for (let index = 16; index < 64; index += 1) {
    const [early, late] = [words[index - 15], words[index - 2]];
    const first = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const second = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    words.push((words[index - 16] + first + words[index - 7] + second) | 0);
  }
  return words;
}

/** Return the hash after one more block (section 6.2.2, steps 2 to 4). */
function compress(hash, words) {
  let [a, b, c, d, e, f, g, h] = hash;
  for (let index = 0; index < 64; index += 1) {
    const choice = (e & f) ^ (~e & g);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const first = (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice;
    const second = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority;
    const added = (h + first + CONSTANTS[index] + words[index]) | 0;
    [a, b, c, d, e, f, g, h] = [(added + second) | 0, a, b, c, (d + added) | 0, e, f, g];
  }
  return [a, b, c, d, e, f, g, h].map((word, index) => (word + hash[index]) | 0);
}
