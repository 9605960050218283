/** The globals of Node that the scripts use. */
export default { console: "readonly", process: "readonly", URL: "readonly" };
