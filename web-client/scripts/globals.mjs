/** The globals of Node, and of the page in what is evaluated there, that the scripts use. */
export default { console: "readonly", document: "readonly", window: "readonly", HTMLCanvasElement: "readonly", setTimeout: "readonly", process: "readonly", URL: "readonly" };
