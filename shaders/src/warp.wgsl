// A plane of both pictures moved along two grids of vectors, to the time in between.
//
// Inputs:  earlier, later: one plane, r8unorm; chosen, smoothed (columns × rows): one vector per cell.
// Outputs: ways: for each run of four samples in a row of cells, those of the earlier and of the later picture along the
//          chosen vectors, then along the smoothed ones, one byte per sample.
// Spaces:  cells of 4 × 4 samples; vectors in 1/16 sample, from the earlier to the later picture. Bilinear, rounded;
//          beyond its edges a plane goes on as at them.
// Cost:    per run 40 texel loads, about 300 operations and one store of 16 bytes.

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

fn parts(vector: u32) -> vec2<i32> {
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

fn code(level: f32) -> u32 {
    return u32(level * 255.0 + 0.5);
}

fn before(place: vec2<i32>) -> u32 {
    return code(textureLoad(earlier, clamp(place, vec2<i32>(0), vec2<i32>(textureDimensions(earlier)) - 1), 0).r);
}

fn after(place: vec2<i32>) -> u32 {
    return code(textureLoad(later, clamp(place, vec2<i32>(0), vec2<i32>(textureDimensions(later)) - 1), 0).r);
}

fn mixed(corners: vec4<u32>, share: vec2<u32>) -> u32 {
    let upper = corners.x * (16u - share.x) + corners.y * share.x;
    let lower = corners.z * (16u - share.x) + corners.w * share.x;
    return (upper * (16u - share.y) + lower * share.y + 128u) >> 8u;
}

fn run(first: vec2<i32>, vector: vec2<i32>) -> vec2<u32> {
    let back = (vector * shape.split + 128) >> vec2<u32>(8u);
    let from_ = first * 16 - back;
    let to = first * 16 + vector - back;
    var packed = vec2<u32>(0u);
    for (var at = 0; at < 4; at++) {
        let a = (from_ >> vec2<u32>(4u)) + vec2<i32>(at, 0);
        let b = (to >> vec2<u32>(4u)) + vec2<i32>(at, 0);
        let right = vec2<i32>(1, 0);
        let below = vec2<i32>(0, 1);
        let here = vec4<u32>(before(a), before(a + right), before(a + below), before(a + 1));
        let there = vec4<u32>(after(b), after(b + right), after(b + below), after(b + 1));
        let made = vec2<u32>(mixed(here, vec2<u32>(from_ & vec2<i32>(15))), mixed(there, vec2<u32>(to & vec2<i32>(15))));
        packed |= made << vec2<u32>(8u * u32(at));
    }
    return packed;
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= shape.columns || id.y >= 4u * shape.rows {
        return;
    }
    let cell = id.y / 4u * shape.columns + id.x;
    let first = vec2<i32>(i32(4u * id.x), i32(id.y));
    let along_chosen = run(first, parts(chosen[cell]));
    let along_smoothed = run(first, parts(smoothed[cell]));
    ways[id.y * shape.columns + id.x] = vec4<u32>(along_chosen, along_smoothed);
}
