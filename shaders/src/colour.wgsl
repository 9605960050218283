// Planar YUV 4:2:0 to R'G'B'.
//
// Inputs:  luma (w × h), blue_difference and red_difference (half size, rounded up): r8unorm, code / 255;
//          colour: three rows that take (Y, Cb, Cr, 1) in codes / 255 to R', G', B' in 0..1.
// Outputs: picture (w × h): rgba8unorm, alpha 1, clamped to 0..1 and rounded to the nearest code.
// Spaces:  Y'CbCr of BT.601 or BT.709, limited or full range, to R'G'B' of the same primaries and the same transfer
//          function. Chroma lies left: on even columns, half-way between rows (ITU-T H.264, figure E-1, type 0).
// Cost:    per pixel 9 texel loads (1.5 bytes of them new, the rest shared with neighbours), about 30 flops and one
//          store of 4 bytes.

struct Colour {
    red: vec4<f32>,
    green: vec4<f32>,
    blue: vec4<f32>,
}

@group(0) @binding(0) var luma: texture_2d<f32>;
@group(0) @binding(1) var blue_difference: texture_2d<f32>;
@group(0) @binding(2) var red_difference: texture_2d<f32>;
@group(0) @binding(3) var<uniform> colour: Colour;
@group(0) @binding(4) var picture: texture_storage_2d<rgba8unorm, write>;

fn chroma(near: vec2<u32>, far: vec2<u32>) -> vec2<f32> {
    // Columns near.x and far.x are one and the same on even columns of luma.
    let near_row = pair(near) + pair(vec2<u32>(far.x, near.y));
    let far_row = pair(vec2<u32>(near.x, far.y)) + pair(far);
    return 0.375 * near_row + 0.125 * far_row;
}

fn pair(at: vec2<u32>) -> vec2<f32> {
    return vec2<f32>(textureLoad(blue_difference, at, 0).r, textureLoad(red_difference, at, 0).r);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = id.xy;
    if any(at >= textureDimensions(luma)) {
        return;
    }
    let last = textureDimensions(blue_difference) - vec2<u32>(1u);
    let near = at / 2u;
    let odd = at % 2u;
    let above = max(near.y, 1u) - 1u;
    let far = vec2<u32>(min(near.x + odd.x, last.x), select(above, min(near.y + 1u, last.y), odd.y == 1u));

    let yuv = vec4<f32>(textureLoad(luma, at, 0).r, chroma(near, far), 1.0);
    let rgb = vec3<f32>(dot(colour.red, yuv), dot(colour.green, yuv), dot(colour.blue, yuv));
    // Rounded here, so that no device rounds in its own way when it stores.
    let codes = floor(clamp(rgb, vec3<f32>(0.0), vec3<f32>(1.0)) * 255.0 + 0.5);
    textureStore(picture, at, vec4<f32>(codes / 255.0, 1.0));
}
