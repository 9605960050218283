/** Softens pictures about as `planes.ts` does, as they are drawn on a canvas: once into the means of cells, and once from the picture and those. WebGL 2. */

import type { Detail } from "./detail.js";
import { CELL, cellsOf } from "./planes.js";

/** One triangle over all there is; `at` goes from 0 to 1 across and up. */
const VERTICES = `#version 300 es
out vec2 at;
void main() {
  at = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0;
  gl_Position = vec4(at * 2.0 - 1.0, 0.0, 1.0);
}`;

/** Sixteen samples between four pixels each are the mean of a cell. */
const MEANS = `#version 300 es
precision highp float;
uniform sampler2D picture;
out vec4 mean;
void main() {
  vec2 size = vec2(textureSize(picture, 0));
  vec2 corner = floor(gl_FragCoord.xy) * ${CELL}.0;
  vec4 sum = vec4(0.0);
  for (int row = 0; row < ${CELL / 2}; row++)
    for (int column = 0; column < ${CELL / 2}; column++)
      sum += texture(picture, (corner + vec2(column, row) * 2.0 + 1.0) / size);
  mean = sum / ${(CELL / 2) ** 2}.0;
}`;

const SOFTEN = `#version 300 es
precision highp float;
uniform sampler2D picture;
uniform sampler2D means;
uniform sampler2D kept;
in vec2 at;
out vec4 colour;
void main() {
  // A canvas begins at its lowest row.
  vec2 here = vec2(at.x, 1.0 - at.y);
  vec2 cell = here * vec2(textureSize(picture, 0)) / ${CELL}.0 / vec2(textureSize(means, 0));
  vec4 mean = texture(means, cell);
  colour = vec4((mean + texture(kept, cell).r * (texture(picture, here) - mean)).rgb, 1.0);
}`;

/** A drawing on one canvas. */
export class Gl {
  private size = [0, 0];
  private version = -1;
  private readonly pixel = new Uint8Array(4);

  private constructor(
    private readonly gl: WebGL2RenderingContext,
    private readonly means: WebGLProgram,
    private readonly soften: WebGLProgram,
    private readonly textures: { readonly picture: WebGLTexture; readonly means: WebGLTexture; readonly kept: WebGLTexture },
    private readonly frame: WebGLFramebuffer,
  ) {}

  /** On this canvas; null where there is no WebGL 2. */
  static on(canvas: OffscreenCanvas | HTMLCanvasElement): Gl | null {
    const options = { alpha: false, antialias: false, depth: false, powerPreference: "low-power" };
    const gl = canvas.getContext("webgl2", options) as WebGL2RenderingContext | null;
    if (gl === null) return null;
    const [means, soften] = [program(gl, MEANS), program(gl, SOFTEN)];
    if (means === null || soften === null) return null;
    gl.useProgram(soften);
    ["picture", "means", "kept"].forEach((name, unit) => {
      gl.uniform1i(gl.getUniformLocation(soften, name), unit);
    });
    const textures = { picture: texture(gl, 0), means: texture(gl, 1), kept: texture(gl, 2) };
    return new Gl(gl, means, soften, textures, gl.createFramebuffer());
  }

  /** Draws a picture of this size, softened, and waits until it is drawn; false where it could not be. */
  draw(picture: TexImageSource, width: number, height: number, detail: Detail): boolean {
    const { gl } = this;
    const [columns, rows] = cellsOf(width, height);
    this.resize(width, height, columns, rows);
    if (this.version !== detail.version) {
      this.version = detail.version;
      const kept = Uint8Array.from(detail.grid(columns, rows), (share) => Math.round(share * 255));
      gl.activeTexture(gl.TEXTURE2);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, columns, rows, 0, gl.RED, gl.UNSIGNED_BYTE, kept);
    }
    gl.activeTexture(gl.TEXTURE0);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, picture);
    this.pass(this.means, this.frame, columns, rows);
    this.pass(this.soften, null, width, height);
    // Reading waits for the drawing: what it takes is known then.
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, this.pixel);
    return !gl.isContextLost() && gl.getError() === gl.NO_ERROR;
  }

  /** Lets go of the processor's memory. */
  close(): void {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  private pass(program: WebGLProgram, into: WebGLFramebuffer | null, width: number, height: number): void {
    const { gl } = this;
    gl.useProgram(program);
    gl.bindFramebuffer(gl.FRAMEBUFFER, into);
    gl.viewport(0, 0, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  private resize(width: number, height: number, columns: number, rows: number): void {
    const { gl } = this;
    if (this.size[0] === width && this.size[1] === height) return;
    [this.size, this.version] = [[width, height], -1];
    [gl.canvas.width, gl.canvas.height] = [width, height];
    gl.activeTexture(gl.TEXTURE1);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, columns, rows, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.textures.means, 0);
    // Rows of any length.
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  }
}

/** A program of {@link VERTICES} and these fragments; null where it can't be built. */
export function program(gl: WebGL2RenderingContext, fragments: string): WebGLProgram | null {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTICES], [gl.FRAGMENT_SHADER, fragments]] as const) {
    const shader = gl.createShader(kind);
    if (shader === null) return null;
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  return gl.getProgramParameter(made, gl.LINK_STATUS) === true ? made : null;
}

/** A texture on this unit: smooth, and going on at its edges. */
export function texture(gl: WebGL2RenderingContext, unit: number): WebGLTexture {
  const made = gl.createTexture();
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, made);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
  return made;
}
