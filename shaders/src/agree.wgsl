// Makes neighbours agree on motion, as far as what they say is true where it is taken to.
//
// Inputs:  planes: the plane whose blocks these are and the other, as pyramid.wgsl makes them of half the size; found:
//          one vector per block.
// Outputs: made: for each block the mean of its vector and of those around it, by how well each fits there, to the nearest
//          sample.
// Spaces:  blocks of 4 × 4 samples; vectors in 1/16 pixel, from the earlier to the later picture; a sample covers two pixels
//          in each direction. Beyond its edges a plane goes on as at them, and the grid likewise. Halves go up.
// Cost:    per block 90 loads of 4 bytes, about 700 operations and one store.

struct Shape {
    columns: i32,
    rows: i32,
    stride: u32,
    plane_columns: i32,
    plane_rows: i32,
    // 1 where the blocks are the earlier picture's, −1 where they are the later one's.
    ahead: i32,
    // Where both planes begin, in words.
    here: u32,
    there: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> planes: array<u32>;
@group(0) @binding(2) var<storage, read> found: array<u32>;
@group(0) @binding(3) var<storage, read_write> made: array<u32>;

const MARGIN = 16;
const BLOCK = 4;
const LEAST = 8u;

fn parts(vector: u32) -> vec2<i32> {
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

fn found_at(place: vec2<i32>) -> vec2<i32> {
    let inside = clamp(place, vec2<i32>(0), vec2<i32>(shape.columns, shape.rows) - 1);
    return parts(found[u32(inside.y * shape.columns + inside.x)]);
}

fn placed(place: vec2<i32>) -> vec2<u32> {
    let side = BLOCK + 1;
    return vec2<u32>(clamp(place, vec2<i32>(-MARGIN), vec2<i32>(shape.plane_columns, shape.plane_rows) + MARGIN - side) + MARGIN);
}

fn bytes(word: u32) -> vec4<i32> {
    return vec4<i32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}

fn there_row(place: vec2<u32>) -> vec4<i32> {
    let at = shape.there + place.y * shape.stride + place.x / 4u;
    let first = 8u * (place.x % 4u);
    if first == 0u {
        return bytes(planes[at]);
    }
    return bytes((planes[at] >> first) | (planes[at + 1u] << (32u - first)));
}

fn difference(place: vec2<u32>, other: vec2<u32>) -> u32 {
    var sum = vec4<i32>(0);
    for (var row = 0u; row < 4u; row++) {
        let next = vec2<u32>(0u, row);
        // Blocks lie on whole words.
        let own = bytes(planes[shape.here + (place.y + row) * shape.stride + place.x / 4u]);
        sum += abs(own - there_row(other + next));
    }
    return u32(dot(sum, vec4<i32>(1)));
}

fn mean(sum: i32, total: i32) -> i32 {
    let above = 2 * sum + total;
    let below = 2 * total;
    // Towards the lower one, whatever the sign.
    return select(above / below, -((below - 1 - above) / below), above < 0);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let block = vec2<i32>(id.xy);
    if block.x >= shape.columns || block.y >= shape.rows {
        return;
    }
    let place = placed(BLOCK * block);
    var sum = vec2<i32>(0);
    var total = 0;
    for (var y = -1; y <= 1; y++) {
        for (var x = -1; x <= 1; x++) {
            let one = found_at(block + vec2<i32>(x, y));
            let way = (shape.ahead * one + 16) >> vec2<u32>(5u);
            let apart = difference(place, placed(BLOCK * block + way));
            let weight = i32((16384u >> u32(abs(x) + abs(y))) / max(apart, LEAST));
            sum += weight * one;
            total += weight;
        }
    }
    let vector = vec2<i32>(mean(sum.x, total), mean(sum.y, total));
    made[u32(block.y * shape.columns + block.x)] = (u32(vector.x) & 0xffffu) | (u32(vector.y) << 16u);
}
