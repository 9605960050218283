/**
 * Softens the planes of a picture as `planes.ts` does, in a shader. They go up and come back as they are: a picture that is drawn in red,
 * green and blue is coded with other numbers and another range than the camera's own, and who decodes it sees other colours. WebGL 2.
 */

import type { Detail } from "./detail.js";
import { program, texture } from "./gl.js";
import { cellsOf, type Plane } from "./planes.js";

/** The mean of a cell, of which the last of a row or column may be a part. */
const MEANS = `#version 300 es
precision highp float;
uniform sampler2D picture;
uniform int cell;
out vec4 mean;
void main() {
  ivec2 corner = ivec2(gl_FragCoord.xy) * cell;
  ivec2 end = min(corner + cell, textureSize(picture, 0));
  vec4 sum = vec4(0.0);
  for (int row = corner.y; row < end.y; row++)
    for (int column = corner.x; column < end.x; column++)
      sum += texelFetch(picture, ivec2(column, row), 0);
  ivec2 size = end - corner;
  mean = sum / float(size.x * size.y);
}`;

const SOFTEN = `#version 300 es
precision highp float;
uniform sampler2D picture;
uniform sampler2D means;
uniform sampler2D kept;
uniform int cell;
out vec4 soft;
void main() {
  vec2 place = gl_FragCoord.xy / float(cell) / vec2(textureSize(means, 0));
  vec4 mean = texture(means, place);
  soft = mean + texture(kept, place).r * (texelFetch(picture, ivec2(gl_FragCoord.xy), 0) - mean);
}`;

/** Where planes are drawn. */
export class GlPlanes {
  private version = -1;
  private grid = [0, 0];

  private constructor(
    private readonly gl: WebGL2RenderingContext,
    private readonly means: WebGLProgram,
    private readonly soften: WebGLProgram,
    private readonly textures: readonly [picture: WebGLTexture, means: WebGLTexture, kept: WebGLTexture, soft: WebGLTexture],
    private readonly frame: WebGLFramebuffer,
  ) {}

  /** A place to draw; null where there is no WebGL 2. */
  static open(): GlPlanes | null {
    const gl = new OffscreenCanvas(1, 1).getContext("webgl2", { antialias: false, depth: false, powerPreference: "low-power" });
    if (gl === null) return null;
    const [means, soften] = [program(gl, MEANS), program(gl, SOFTEN)];
    if (means === null || soften === null) return null;
    gl.useProgram(soften);
    ["picture", "means", "kept"].forEach((name, unit) => {
      gl.uniform1i(gl.getUniformLocation(soften, name), unit);
    });
    // Rows of any length.
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.PACK_ALIGNMENT, 1);
    const textures = [texture(gl, 0), texture(gl, 1), texture(gl, 2), texture(gl, 3)] as const;
    return new GlPlanes(gl, means, soften, textures, gl.createFramebuffer());
  }

  /** Softens all these planes of a picture of this size where they are; false where that can't be done. */
  draw(bytes: Uint8Array, planes: readonly Plane[], width: number, height: number, detail: Detail): boolean {
    const { gl } = this;
    const [columns, rows] = cellsOf(width, height);
    if (this.version !== detail.version || this.grid[0] !== columns || this.grid[1] !== rows) {
      [this.version, this.grid] = [detail.version, [columns, rows]];
      const kept = Uint8Array.from(detail.grid(columns, rows), (share) => Math.round(share * 255));
      gl.activeTexture(gl.TEXTURE2);
      gl.pixelStorei(gl.UNPACK_ROW_LENGTH, 0);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, columns, rows, 0, gl.RED, gl.UNSIGNED_BYTE, kept);
    }
    // Two planes that share their rows are two colours of one.
    const drawn = planes.filter(({ step }, at) => step === 1 || at % 2 === 1);
    return drawn.every((plane) => this.plane(bytes, plane, columns, rows)) && !gl.isContextLost() && gl.getError() === gl.NO_ERROR;
  }

  /** Lets go of the processor's memory. */
  close(): void {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  private plane(bytes: Uint8Array, { offset, stride, step, width, height, cell }: Plane, columns: number, rows: number): boolean {
    const { gl } = this;
    const [inside, format] = step === 1 ? [gl.R8, gl.RED] : [gl.RG8, gl.RG];
    const length = stride / step;
    const samples = bytes.subarray(offset, offset + stride * (height - 1) + width * step);
    gl.activeTexture(gl.TEXTURE3);
    gl.pixelStorei(gl.UNPACK_ROW_LENGTH, 0);
    gl.texImage2D(gl.TEXTURE_2D, 0, inside, width, height, 0, format, gl.UNSIGNED_BYTE, null);
    gl.activeTexture(gl.TEXTURE1);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, columns, rows, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
    gl.activeTexture(gl.TEXTURE0);
    gl.pixelStorei(gl.UNPACK_ROW_LENGTH, length);
    gl.texImage2D(gl.TEXTURE_2D, 0, inside, width, height, 0, format, gl.UNSIGNED_BYTE, samples);
    this.pass(this.means, this.textures[1], cell, columns, rows);
    this.pass(this.soften, this.textures[3], cell, width, height);
    if (gl.getParameter(gl.IMPLEMENTATION_COLOR_READ_FORMAT) !== format) return false;
    gl.pixelStorei(gl.PACK_ROW_LENGTH, length);
    gl.readPixels(0, 0, width, height, format, gl.UNSIGNED_BYTE, samples);
    return true;
  }

  private pass(program: WebGLProgram, into: WebGLTexture, cell: number, width: number, height: number): void {
    const { gl } = this;
    gl.useProgram(program);
    gl.uniform1i(gl.getUniformLocation(program, "cell"), cell);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, into, 0);
    gl.viewport(0, 0, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}
