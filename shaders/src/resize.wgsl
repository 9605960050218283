// Motion on grids of half as many vectors, and for planes of half the size.
//
// Inputs:  grid: one vector per cell, x in the lower and y in the upper half; all known.
// Outputs: made (columns × rows): `halve`, the mean of the four that each covers; `shrink`, half of each vector, for planes
//          of half the size. Halves go up.
// Spaces:  vectors in 1/16 sample; beyond its edges the grid goes on as at them.
// Cost:    4 loads of 4 bytes and one store per vector, about 30 operations.

struct Shape {
    columns: u32,
    rows: u32,
    from_columns: u32,
    from_rows: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> grid: array<u32>;
@group(0) @binding(2) var<storage, read_write> made: array<u32>;

fn at(column: i32, row: i32) -> vec2<i32> {
    let place = clamp(vec2<i32>(column, row), vec2<i32>(0), vec2<i32>(i32(shape.from_columns), i32(shape.from_rows)) - 1);
    let vector = grid[u32(place.y) * shape.from_columns + u32(place.x)];
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

fn store(id: vec3<u32>, vector: vec2<i32>) {
    if id.x < shape.columns && id.y < shape.rows {
        made[id.y * shape.columns + id.x] = (u32(vector.x) & 0xffffu) | (u32(vector.y) << 16u);
    }
}

@compute @workgroup_size(8, 8)
fn halve(@builtin(global_invocation_id) id: vec3<u32>) {
    let place = 2 * vec2<i32>(id.xy);
    let sum = at(place.x, place.y) + at(place.x + 1, place.y) + at(place.x, place.y + 1) + at(place.x + 1, place.y + 1);
    store(id, (sum + 2) >> vec2<u32>(2u));
}

@compute @workgroup_size(8, 8)
fn shrink(@builtin(global_invocation_id) id: vec3<u32>) {
    store(id, (at(i32(id.x), i32(id.y)) + 1) >> vec2<u32>(1u));
}
