// A plane of both pictures moved along two grids of vectors, to the time in between.
//
// Inputs:  earlier, later: one plane, r8unorm; chosen, smoothed (columns × rows): one vector per cell.
// Outputs: ways: for each run of four samples in a row of cells, those of the earlier and of the later picture along the
//          chosen vectors, then along the smoothed ones, one byte per sample.
// Spaces:  cells of 4 × 4 samples; vectors in 1/16 sample, from the earlier to the later picture. Of four samples each way,
//          rounded once; beyond its edges a plane goes on as at them.
// Cost:    per cell 196 texel loads, about 1500 operations and four stores of 16 bytes.

struct Shape {
    columns: u32,
    rows: u32,
    // The time in 1/256; above 256 it is after the later picture.
    split: i32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> chosen: array<u32>;
@group(0) @binding(2) var<storage, read> smoothed: array<u32>;
@group(0) @binding(3) var<storage, read_write> ways: array<vec4<u32>>;
@group(0) @binding(4) var earlier: texture_2d<f32>;
@group(0) @binding(5) var later: texture_2d<f32>;

// As in warp.rs.
const TAPS = array<vec4<i32>, 16>(
    vec4<i32>(0, 128, 0, 0),
    vec4<i32>(-4, 126, 6, 0),
    vec4<i32>(-7, 123, 13, -1),
    vec4<i32>(-10, 119, 21, -2),
    vec4<i32>(-11, 112, 31, -4),
    vec4<i32>(-11, 103, 41, -5),
    vec4<i32>(-11, 94, 52, -7),
    vec4<i32>(-11, 84, 63, -8),
    vec4<i32>(-10, 74, 74, -10),
    vec4<i32>(-8, 63, 84, -11),
    vec4<i32>(-7, 52, 94, -11),
    vec4<i32>(-5, 41, 103, -11),
    vec4<i32>(-4, 31, 112, -11),
    vec4<i32>(-2, 21, 119, -10),
    vec4<i32>(-1, 13, 123, -7),
    vec4<i32>(0, 6, 126, -4),
);

fn parts(vector: u32) -> vec2<i32> {
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

// Seven samples in a row, as four between them.
fn across(plane: texture_2d<f32>, first: vec2<i32>, taps: vec4<i32>) -> vec4<i32> {
    let last = vec2<i32>(textureDimensions(plane)) - 1;
    let row = clamp(first.y, 0, last.y);
    var window = vec4<i32>(0);
    var sums = vec4<i32>(0);
    for (var at = 0; at < 7; at++) {
        let level = textureLoad(plane, vec2<i32>(clamp(first.x + at, 0, last.x), row), 0).r;
        window = vec4<i32>(window.yzw, i32(level * 255.0 + 0.5));
        // The first three sums are pushed out again.
        sums = vec4<i32>(sums.yzw, dot(window, taps));
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
        let codes = vec4<u32>(clamp((sums + 8192) >> vec4<u32>(14u), vec4<i32>(0), vec4<i32>(255))) << vec4<u32>(0u, 8u, 16u, 24u);
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
    let one = parts(chosen[cell]);
    let other = parts(smoothed[cell]);
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
