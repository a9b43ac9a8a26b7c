/** The bytes a second of the last minutes, in and out, as two lines. */

import { speed } from "./dashboard-transfers.js";

/** Milliseconds that the chart is wide. */
const SPAN = 300_000;

/** The viewBox. */
const WIDTH = 300;
const HEIGHT = 60;

export class Chart {
  #svg;
  #peak;
  #samples = [];

  constructor(svg, peak) {
    this.#svg = svg;
    this.#peak = peak;
  }

  /** Take note of both rates at a time in milliseconds, and draw. */
  note(rateIn, rateOut, time = performance.now()) {
    this.#samples.push({ time, in: rateIn, out: rateOut });
    this.#samples = this.#samples.filter((sample) => time - sample.time <= SPAN);
    const peak = Math.max(1, ...this.#samples.flatMap((sample) => [sample.in, sample.out]));
    for (const name of ["in", "out"]) {
      const points = this.#samples.map((sample) => {
        const x = WIDTH * (1 - (time - sample.time) / SPAN);
        const y = (HEIGHT - 2) * (1 - sample[name] / peak) + 1;
        return `${x.toFixed(2)} ${y.toFixed(2)}`;
      });
      this.#svg.querySelector(`.${name}`).setAttribute("d", `M${points.join("L")}`);
    }
    const highest = peak > 1 ? `at most ${speed(peak)}` : "";
    this.#peak.textContent = highest;
    const now = `in ${speed(rateIn)}, out ${speed(rateOut)}`;
    this.#svg.setAttribute("aria-label", `Rates of the last 5 minutes: ${highest}; now ${now}`);
  }
}
