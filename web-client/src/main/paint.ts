/** When something is on the screen. */

/**
 * The client's clock, in microseconds, once what was changed before the call has been painted. Null when the page is
 * hidden: then nothing is painted, and there is nothing to measure.
 */
export function afterPaint(): Promise<number | null> {
  if (document.visibilityState === "hidden") return Promise.resolve(null);
  return new Promise((resolve) => {
    // A page that is hidden in between gets no frame until it is back: that wait is not the pipeline's.
    const hidden = (): void => {
      resolve(null);
    };
    document.addEventListener("visibilitychange", hidden, { once: true });
    requestAnimationFrame(() => {
      const drawn = performance.now();
      // The change goes into the frame that begins here; the start of the next is the first sign that it is out. A page that is behind
      // is told starts that are long past.
      requestAnimationFrame((start) => {
        document.removeEventListener("visibilitychange", hidden);
        resolve(Math.round((performance.timeOrigin + Math.max(start, drawn)) * 1000));
      });
    });
  });
}
