/** What the page and the softening worker say to each other. */

/** To the worker: its pictures, once, and then what they are worth. */
export type ToWorker =
  | { readonly kind: "streams"; readonly readable: ReadableStream<VideoFrame>; readonly writable: WritableStream<VideoFrame>; readonly interval_ms: number }
  | { readonly kind: "track"; readonly track: MediaStreamTrack; readonly interval_ms: number }
  /** The levels of a map, 0..1; null where all is worth the same. */
  | { readonly kind: "map"; readonly levels: readonly number[] | null };

/** From the worker. */
export type FromWorker =
  /** Softened pictures come from this track. */
  | { readonly kind: "track"; readonly track: MediaStreamTrack }
  /** Once a second: by what it softens (null: by nothing), what one picture takes, how many passed. */
  | { readonly kind: "report"; readonly by: "gpu" | "cpu" | null; readonly picture_ms: number; readonly pictures: number }
  /** It softens no more: no way is quick enough or can take these pictures, the browser has none, or a track has ended. */
  | { readonly kind: "gave_up"; readonly why: "slow" | "unsupported" | "ended" };
