// What the residual network looks at: `luma` and `motion` once, `chroma` once for each plane of chroma.
//
// Inputs:  made: the plane as it was made, four samples to a word, `stride` words to a row; ways: the plane along the chosen and
//          the smoothed vectors, as warp.wgsl makes it; earlier, later: the plane, r8unorm; weights: shares of the three ways
//          and the later picture's share of the first; fine, soft: chosen and smoothed vectors, by cells.
// Outputs: features: in slices of four channels: six of the made samples (4 of luma, by rows, one of each chroma, 2 × 2),
//          then six for each way and side of the differences from them, one of shares, two of softness, one of motion.
// Spaces:  cells of 4 × 4 samples of luma; codes in 0..255, entering as (code − 128) / 128 and difference / 64; vectors in
//          1/16 pixel. Beyond its edges a plane goes on as at them.
// Cost:    per run of four samples 7 stores of 4 numbers, 8 texel loads, one load of 16 bytes and four of 4; per cell of
//          motion 4 stores and about 60 operations.

// What the variant of half the precision has otherwise.
alias Four = vec4<f32>;

struct Shape {
    // Cells of luma.
    columns: u32,
    rows: u32,
    stride: u32,
    // The first slice of this plane.
    slice: u32,
    // The time in 1/256.
    split: i32,
    // Runs of four in a row of this plane's ways.
    runs: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> made: array<u32>;
@group(0) @binding(2) var<storage, read> ways: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> features: array<Four>;
@group(0) @binding(4) var earlier: texture_2d<f32>;
@group(0) @binding(5) var later: texture_2d<f32>;
@group(0) @binding(6) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> fine: array<u32>;
@group(0) @binding(8) var<storage, read> soft: array<u32>;

// Slices of the samples of a cell, and where those of shares begin.
const SAMPLES = 6u;
const SHARES = 42u;

// Samples of luma in a cell, or of one chroma, in two places of the plane: four next to each other, or two and two.
struct Places {
    x: vec4<u32>,
    y: vec4<u32>,
}

fn store(slice: u32, cell: vec2<u32>, value: vec4<f32>) {
    features[(slice * shape.rows + cell.y) * shape.columns + cell.x] = Four(value);
}

fn made_at(x: u32, y: u32) -> f32 {
    let place = min(vec2<u32>(x, y), textureDimensions(earlier) - 1u);
    return f32((made[place.y * shape.stride + place.x / 4u] >> (8u * (place.x % 4u))) & 255u);
}

fn way_at(x: u32, y: u32) -> vec4<f32> {
    return vec4<f32>((ways[y * shape.runs + x / 4u] >> vec4<u32>(8u * (x % 4u))) & vec4<u32>(255u));
}

fn still_at(x: u32, y: u32) -> vec2<f32> {
    let place = min(vec2<u32>(x, y), textureDimensions(earlier) - 1u);
    return floor(vec2<f32>(textureLoad(earlier, place, 0).r, textureLoad(later, place, 0).r) * 255.0 + 0.5);
}

fn apart(codes: vec4<f32>, made: vec4<f32>) -> vec4<f32> {
    return clamp(codes - made, vec4<f32>(-64.0), vec4<f32>(64.0)) / 64.0;
}

fn samples(slice: u32, cell: vec2<u32>, at: Places) {
    let codes = vec4<f32>(made_at(at.x.x, at.y.x), made_at(at.x.y, at.y.y), made_at(at.x.z, at.y.z), made_at(at.x.w, at.y.w));
    store(slice, cell, (codes - 128.0) / 128.0);
    // By sample, and then by way and side.
    let along = transpose(mat4x4<f32>(
        way_at(at.x.x, at.y.x), way_at(at.x.y, at.y.y), way_at(at.x.z, at.y.z), way_at(at.x.w, at.y.w)));
    store(slice + SAMPLES, cell, apart(along[0], codes));
    store(slice + 2u * SAMPLES, cell, apart(along[1], codes));
    store(slice + 3u * SAMPLES, cell, apart(along[2], codes));
    store(slice + 4u * SAMPLES, cell, apart(along[3], codes));
    let still = transpose(mat4x2<f32>(
        still_at(at.x.x, at.y.x), still_at(at.x.y, at.y.y), still_at(at.x.z, at.y.z), still_at(at.x.w, at.y.w)));
    store(slice + 5u * SAMPLES, cell, apart(still[0], codes));
    store(slice + 6u * SAMPLES, cell, apart(still[1], codes));
}

@compute @workgroup_size(8, 8)
fn luma(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < shape.columns && id.y < 4u * shape.rows {
        let at = Places(4u * id.x + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(id.y));
        samples(id.y % 4u, vec2<u32>(id.x, id.y / 4u), at);
    }
}

@compute @workgroup_size(8, 8)
fn chroma(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < shape.columns && id.y < shape.rows {
        samples(shape.slice, id.xy, Places(2u * id.x + vec4<u32>(0u, 1u, 0u, 1u), 2u * id.y + vec4<u32>(0u, 0u, 1u, 1u)));
    }
}

fn parts(vector: u32) -> vec2<i32> {
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

// How far a place lies between two samples: 0 on one, 1 half-way; for both sides of a vector.
fn softness(vector: vec2<i32>) -> vec4<f32> {
    let back = (vector * shape.split + 128) >> vec2<u32>(8u);
    let far = vec4<i32>(-back, vector - back) & vec4<i32>(15);
    return vec4<f32>(far * (16 - far)) / 64.0;
}

@compute @workgroup_size(8, 8)
fn motion(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= shape.columns || id.y >= shape.rows {
        return;
    }
    let cell = id.y * shape.columns + id.x;
    let chosen = parts(fine[cell]);
    let smoothed = parts(soft[cell]);
    store(SHARES, id.xy, weights[cell]);
    store(SHARES + 1u, id.xy, softness(chosen));
    store(SHARES + 2u, id.xy, softness(smoothed));
    let onward = clamp(vec2<f32>(chosen) / 512.0, vec2<f32>(-1.0), vec2<f32>(1.0));
    let between = abs(chosen - smoothed);
    let distance = min(f32(between.x + between.y) / 128.0, 1.0);
    store(SHARES + 3u, id.xy, vec4<f32>(onward, distance, f32(shape.split) / 256.0));
}
