// How far each way of making a picture is to be trusted: `sum` the differences of each cell, then `weigh` them.
//
// Inputs:  ways: luma along the forward and the backward vectors, as warp.wgsl makes it; earlier, later: luma, r8unorm;
//          fine: the forward vectors by cells; onward, past: smoothed vectors by blocks of
//          8 × 8 pixels, that led to the later, to the earlier picture.
// Outputs: sums: per cell the sums of absolute differences along the forward, the backward vectors and at rest, and the
//          forward vector; verdict: the sum of the least of these over all cells, and the greatest at rest;
//          weights: shares of the three ways, and the later picture's share of the first.
// Spaces:  cells of 4 × 4 luma pixels; differences in codes; vectors in 1/16 pixel, from the earlier to the later picture.
// Cost:    per cell 4 loads of 16 bytes, 32 texel loads, 9 loads of 16 bytes, two atomic operations, one store of 16 bytes
//          each, about 250 operations.

struct Shape {
    columns: u32,
    rows: u32,
    // The time in 1/256; above 256 it is after the later picture.
    split: i32,
    // 1 where motion that led to the earlier picture is known.
    past_known: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> ways: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> fine: array<u32>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> verdict: array<atomic<u32>, 2>;
@group(0) @binding(5) var earlier: texture_2d<f32>;
@group(0) @binding(6) var later: texture_2d<f32>;
@group(0) @binding(7) var<storage, read> onward: array<u32>;
@group(0) @binding(8) var<storage, read> past: array<u32>;
@group(0) @binding(9) var<storage, read_write> weights: array<vec4<f32>>;

fn parts(vector: u32) -> vec2<i32> {
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

fn apart(a: u32, b: u32) -> u32 {
    var sum = 0u;
    for (var at = 0u; at < 32u; at += 8u) {
        sum += u32(abs(i32((a >> at) & 255u) - i32((b >> at) & 255u)));
    }
    return sum;
}

@compute @workgroup_size(8, 8)
fn sum(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= shape.columns || id.y >= shape.rows {
        return;
    }
    let last = vec2<i32>(textureDimensions(earlier)) - 1;
    var found = vec3<u32>(0u);
    for (var line = 0u; line < 4u; line++) {
        let run = ways[(4u * id.y + line) * shape.columns + id.x];
        found += vec3<u32>(apart(run.x, run.y), apart(run.z, run.w), 0u);
        for (var at = 0u; at < 4u; at++) {
            let place = min(vec2<i32>(4u * id.xy + vec2<u32>(at, line)), last);
            let difference = abs(textureLoad(earlier, place, 0).r - textureLoad(later, place, 0).r);
            found.z += u32(difference * 255.0 + 0.5);
        }
    }
    let cell = id.y * shape.columns + id.x;
    atomicAdd(&verdict[0], min(found.x, min(found.y, found.z)));
    atomicMax(&verdict[1], found.z);
    sums[cell] = vec4<u32>(found, fine[cell]);
}

fn inside(place: vec2<i32>) -> u32 {
    let moved = clamp(place, vec2<i32>(0), vec2<i32>(i32(shape.columns), i32(shape.rows)) - 1);
    return u32(moved.y) * shape.columns + u32(moved.x);
}

// The vector of the block that a cell lies in.
fn block_of(cell: vec2<i32>) -> u32 {
    let last = vec2<i32>(i32(shape.columns), i32(shape.rows)) - 1;
    let moved = clamp(cell, vec2<i32>(0), last) >> vec2<u32>(1u);
    return u32(moved.y) * ((shape.columns + 1u) / 2u) + u32(moved.x);
}

fn agreement(one: vec2<i32>, other: vec2<i32>) -> f32 {
    let distance = vec2<f32>(one - other) / 64.0;
    return 1.0 / (1.0 + dot(distance, distance));
}

fn later_share(vector: vec2<i32>, cell: vec2<i32>) -> f32 {
    let time = f32(min(shape.split, 256)) / 256.0;
    if shape.past_known == 0u {
        return time;
    }
    let back = (vector * shape.split + 128) >> vec2<u32>(8u);
    let there = block_of(cell + ((vector - back + 32) >> vec2<u32>(6u)));
    let here = block_of(cell - ((back + 32) >> vec2<u32>(6u)));
    let seen_later = agreement(vector, parts(onward[there]));
    let seen_earlier = agreement(vector, parts(past[here]));
    return time * seen_later / (time * seen_later + (1.0 - time) * seen_earlier);
}

@compute @workgroup_size(8, 8)
fn weigh(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= shape.columns || id.y >= shape.rows {
        return;
    }
    let cell = vec2<i32>(id.xy);
    var total = vec3<u32>(0u);
    for (var row = -1; row <= 1; row++) {
        for (var column = -1; column <= 1; column++) {
            total += sums[inside(cell + vec2<i32>(column, row))].xyz;
        }
    }
    let difference = vec3<f32>(total) / 144.0 + 1.0;
    let trust = vec3<f32>(1.0, 1.0, 0.6) / (difference * difference);
    let shares = trust / (trust.x + trust.y + trust.z);
    let at = inside(cell);
    weights[at] = vec4<f32>(shares, later_share(parts(sums[at].w), cell));
}
