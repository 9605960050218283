// Makes one plane of a picture from its neighbours, by the weighed ways.
//
// Inputs:  earlier, later: the plane, r8unorm; ways: the plane along the forward and the backward vectors, as warp.wgsl makes
//          it; weights: per luma cell the shares of the three ways, and the later picture's share of the first;
//          verdict: what compare.wgsl found over the whole picture.
// Outputs: made: four samples to a word, `stride` words to a row.
// Spaces:  codes 0..255; cells of 4 × 4 samples, of which one of chroma covers four of luma.
// Cost:    per run of four samples one load of 16 bytes, 8 texel loads, 4 loads of 16 bytes (16 for chroma), mostly shared
//          with neighbours, about 200 operations and one store of 4 bytes.

struct Shape {
    columns: u32,
    rows: u32,
    // The time in 1/256; above 256 it is after the later picture.
    split: i32,
    stride: u32,
    weight_columns: u32,
    weight_rows: u32,
    // Cells of luma on a side of one cell here: 1 or 2.
    covered: u32,
    // Above this sum of the least differences the scene was cut.
    cut: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> ways: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> verdict: array<u32, 2>;
@group(0) @binding(4) var<storage, read_write> made: array<u32>;
@group(0) @binding(5) var earlier: texture_2d<f32>;
@group(0) @binding(6) var later: texture_2d<f32>;

fn luma_weight(place: vec2<i32>) -> vec4<f32> {
    let moved = clamp(place, vec2<i32>(0), vec2<i32>(i32(shape.weight_columns), i32(shape.weight_rows)) - 1);
    return weights[u32(moved.y) * shape.weight_columns + u32(moved.x)];
}

fn weight(cell: vec2<i32>) -> vec4<f32> {
    let place = clamp(cell, vec2<i32>(0), vec2<i32>(i32(shape.columns), i32(shape.rows)) - 1);
    if shape.covered == 1u {
        return luma_weight(place);
    }
    let first = 2 * place;
    return 0.25 * (luma_weight(first) + luma_weight(first + vec2<i32>(1, 0)) + luma_weight(first + vec2<i32>(0, 1))
        + luma_weight(first + 1));
}

fn byte(packed: u32, at: u32) -> f32 {
    return f32((packed >> (8u * at)) & 255u);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= shape.columns || id.y >= 4u * shape.rows {
        return;
    }
    let cell = vec2<i32>(i32(id.x), i32(id.y / 4u));
    let down = f32(id.y % 4u) / 4.0 - 0.375;
    let next = select(1, -1, down < 0.0);
    let here = mix(weight(cell), weight(cell + vec2<i32>(0, next)), abs(down));
    let left = mix(weight(cell + vec2<i32>(-1, 0)), weight(cell + vec2<i32>(-1, next)), abs(down));
    let right = mix(weight(cell + vec2<i32>(1, 0)), weight(cell + vec2<i32>(1, next)), abs(down));
    let run = ways[id.y * shape.columns + id.x];
    let last = vec2<i32>(textureDimensions(earlier)) - 1;
    let time = f32(min(shape.split, 256)) / 256.0;
    // 32 is two codes for each sample of a cell: what coding the same twice makes.
    let held = verdict[0] > shape.cut || verdict[1] <= 32u;
    var packed = 0u;
    for (var at = 0u; at < 4u; at++) {
        let place = min(vec2<i32>(i32(4u * id.x + at), i32(id.y)), last);
        let a = floor(textureLoad(earlier, place, 0).r * 255.0 + 0.5);
        let b = floor(textureLoad(later, place, 0).r * 255.0 + 0.5);
        let aside = f32(at) / 4.0 - 0.375;
        let share = mix(here, select(right, left, aside < 0.0), abs(aside));
        let forward = vec2<f32>(byte(run.x, at), byte(run.y, at));
        let backward = vec2<f32>(byte(run.z, at), byte(run.w, at));
        // How far apart the two pictures are in this very sample, along each way; 4 codes are what coding alone makes.
        let doubt = abs(vec3<f32>(forward.x - forward.y, backward.x - backward.y, a - b)) + 4.0;
        let shares = share.xyz * doubt.yxx * doubt.zzy;
        let levels = vec3<f32>(mix(forward.x, forward.y, share.w), mix(backward.x, backward.y, time), mix(a, b, time));
        let sum = dot(levels, shares) / (shares.x + shares.y + shares.z);
        let sample = select(floor(sum + 0.5), select(a, b, shape.split > 128), held);
        packed |= u32(clamp(sample, 0.0, 255.0)) << (8u * at);
    }
    made[id.y * shape.stride + id.x] = packed;
}
