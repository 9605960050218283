// Brings a picture's motion to where its content is at another time.
//
// Inputs:  found: one vector per block of the picture.
// Outputs: made: one vector per cell of the picture in between, that of the content that is met there.
// Spaces:  blocks of 8 × 8 luma pixels, cells of 4 × 4; vectors in 1/16 pixel, from the earlier to the later picture.
//          Bilinear between the middles of blocks, halves up; beyond its edges the grid goes on as at them.
// Cost:    per cell 12 loads of 4 bytes, about 120 operations and one store.

struct Shape {
    columns: u32,
    rows: u32,
    found_columns: i32,
    found_rows: i32,
    // The time in 1/256; above 256 it is after the later picture.
    split: i32,
    // 1 where the blocks are the earlier picture's, −1 where they are the later one's.
    ahead: i32,
    unused: vec2<u32>,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> found: array<u32>;
@group(0) @binding(2) var<storage, read_write> made: array<u32>;

fn found_at(place: vec2<i32>) -> vec2<i32> {
    let inside = clamp(place, vec2<i32>(0), vec2<i32>(shape.found_columns, shape.found_rows) - 1);
    let vector = found[u32(inside.y * shape.found_columns + inside.x)];
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

fn between(middle: vec2<i32>) -> vec2<i32> {
    let place = middle - 64;
    let block = place >> vec2<u32>(7u);
    let share = place & vec2<i32>(127);
    let upper = found_at(block) * (128 - share.x) + found_at(block + vec2<i32>(1, 0)) * share.x;
    let lower = found_at(block + vec2<i32>(0, 1)) * (128 - share.x) + found_at(block + 1) * share.x;
    return (upper * (128 - share.y) + lower * share.y + 8192) >> vec2<u32>(14u);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= shape.columns || id.y >= shape.rows {
        return;
    }
    let middle = 64 * vec2<i32>(id.xy) + 32;
    var vector = between(middle);
    for (var round = 0; round < 2; round++) {
        let back = (vector * shape.split + 128) >> vec2<u32>(8u);
        let way = select(vector - back, -back, shape.ahead > 0);
        vector = between(middle + way);
    }
    made[id.y * shape.columns + id.x] = (u32(vector.x) & 0xffffu) | (u32(vector.y) << 16u);
}
