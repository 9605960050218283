// A plane of both pictures moved along two grids of vectors, to the time in between.
//
// Inputs:  earlier, later: one plane, r8unorm; forward, backward (columns × rows): one vector per cell.
// Outputs: ways: for each run of four samples in a row of cells, those of the earlier and of the later picture along the
//          forward vectors, then along the backward ones, one byte per sample.
// Spaces:  cells of 4 × 4 samples; vectors in 1/16 sample, from the earlier to the later picture. Of four samples each way,
//          rounded to halves of a code in between; beyond its edges a plane goes on as at them.
// Cost:    per cell 196 texel loads, about 1500 operations and four stores of 16 bytes.

struct Shape {
    columns: u32,
    rows: u32,
    // The time in 1/256; above 256 it is after the later picture.
    split: i32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> forward: array<u32>;
@group(0) @binding(2) var<storage, read> backward: array<u32>;
@group(0) @binding(3) var<storage, read_write> ways: array<vec4<u32>>;
@group(0) @binding(4) var earlier: texture_2d<f32>;
@group(0) @binding(5) var later: texture_2d<f32>;

// As in warp.rs.
const TAPS = array<vec4<i32>, 16>(
    vec4<i32>(0, 64, 0, 0),
    vec4<i32>(-2, 63, 3, 0),
    vec4<i32>(-4, 63, 6, -1),
    vec4<i32>(-5, 59, 11, -1),
    vec4<i32>(-5, 56, 15, -2),
    vec4<i32>(-6, 52, 21, -3),
    vec4<i32>(-6, 47, 26, -3),
    vec4<i32>(-5, 42, 31, -4),
    vec4<i32>(-5, 37, 37, -5),
    vec4<i32>(-4, 31, 42, -5),
    vec4<i32>(-3, 26, 47, -6),
    vec4<i32>(-3, 21, 52, -6),
    vec4<i32>(-2, 15, 56, -5),
    vec4<i32>(-1, 11, 59, -5),
    vec4<i32>(-1, 6, 63, -4),
    vec4<i32>(0, 3, 63, -2),
);

fn parts(vector: u32) -> vec2<i32> {
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

// Seven samples in a row, as four between them, in halves of a code.
fn across(plane: texture_2d<f32>, first: vec2<i32>, taps: vec4<i32>) -> vec4<i32> {
    let last = vec2<i32>(textureDimensions(plane)) - 1;
    let row = clamp(first.y, 0, last.y);
    var window = vec4<i32>(0);
    var sums = vec4<i32>(0);
    for (var at = 0; at < 7; at++) {
        let level = textureLoad(plane, vec2<i32>(clamp(first.x + at, 0, last.x), row), 0).r;
        window = vec4<i32>(window.yzw, i32(level * 255.0 + 0.5));
        // The first three sums are pushed out again.
        sums = vec4<i32>(sums.yzw, (dot(window, taps) + 16) >> 5u);
    }
    return sums;
}

// A cell of samples from a place in 1/16 of a sample: row by row, one byte each.
fn moved(plane: texture_2d<f32>, place: vec2<i32>) -> vec4<u32> {
    let first = (place >> vec2<u32>(4u)) - 1;
    let right = TAPS[place.x & 15];
    let below = TAPS[place.y & 15];
    var a = vec4<i32>(0);
    var b = across(plane, first, right);
    var c = across(plane, first + vec2<i32>(0, 1), right);
    var d = across(plane, first + vec2<i32>(0, 2), right);
    var made = vec4<u32>(0u);
    for (var row = 3; row < 7; row++) {
        a = b;
        b = c;
        c = d;
        d = across(plane, first + vec2<i32>(0, row), right);
        let sums = a * below.x + b * below.y + c * below.z + d * below.w;
        let codes = vec4<u32>(clamp((sums + 64) >> vec4<u32>(7u), vec4<i32>(0), vec4<i32>(255))) << vec4<u32>(0u, 8u, 16u, 24u);
        made = vec4<u32>(made.yzw, codes.x | codes.y | codes.z | codes.w);
    }
    return made;
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= shape.columns || id.y >= shape.rows {
        return;
    }
    let cell = id.y * shape.columns + id.x;
    let here = vec2<i32>(id.xy) * 64;
    let one = parts(forward[cell]);
    let other = parts(backward[cell]);
    let onward = vec2<i32>(shape.split);
    let back = (one * onward + 128) >> vec2<u32>(8u);
    let other_back = (other * onward + 128) >> vec2<u32>(8u);
    let from_ = moved(earlier, here - back);
    let to = moved(later, here + one - back);
    let other_from = moved(earlier, here - other_back);
    let other_to = moved(later, here + other - other_back);
    for (var row = 0u; row < 4u; row++) {
        ways[(4u * id.y + row) * shape.columns + id.x] = vec4<u32>(from_[row], to[row], other_from[row], other_to[row]);
    }
}
