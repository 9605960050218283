// Evens out motion: the Gaussian mean of the known vectors around each, `across` along rows and then `down` columns.
//
// Inputs:  grid (columns × rows): one vector per block, x in the lower and y in the upper half; 0x80008000 where unknown.
// Outputs: made (columns × rows): the mean, rounded; where none is known, 0x80008000 after `across` and 0 after `down`.
// Spaces:  vectors in 1/16 pixel; a deviation of one block; beyond its edges the grid goes on as at them.
// Cost:    per pass 7 loads of 4 bytes per block (one of them new), about 60 operations.

struct Shape {
    columns: u32,
    rows: u32,
    unused: vec2<u32>,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> grid: array<u32>;
@group(0) @binding(2) var<storage, read_write> made: array<u32>;

fn parts(vector: u32) -> vec2<i32> {
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

fn mean(at: vec2<u32>, step: vec2<i32>, nothing: u32) -> u32 {
    var weights = array<i32, 4>(1636, 991, 221, 18);
    let last = vec2<i32>(i32(shape.columns), i32(shape.rows)) - 1;
    var sum = vec2<i32>(0);
    var total = 0;
    for (var offset = -3; offset <= 3; offset++) {
        let place = clamp(vec2<i32>(at) + offset * step, vec2<i32>(0), last);
        let vector = grid[u32(place.y) * shape.columns + u32(place.x)];
        if vector != 0x80008000u {
            let weight = weights[abs(offset)];
            sum += weight * parts(vector);
            total += weight;
        }
    }
    if total == 0 {
        return nothing;
    }
    // Rounded down from a half more: division rounds towards zero, so what is negative is moved first.
    let twice = 2 * sum + total;
    let whole = 2 * total;
    let rounded = (twice - select(vec2<i32>(0), vec2<i32>(whole - 1), twice < vec2<i32>(0))) / whole;
    return (u32(rounded.x) & 0xffffu) | (u32(rounded.y) << 16u);
}

@compute @workgroup_size(8, 8)
fn across(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < shape.columns && id.y < shape.rows {
        made[id.y * shape.columns + id.x] = mean(id.xy, vec2<i32>(1, 0), 0x80008000u);
    }
}

@compute @workgroup_size(8, 8)
fn down(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < shape.columns && id.y < shape.rows {
        made[id.y * shape.columns + id.x] = mean(id.xy, vec2<i32>(0, 1), 0u);
    }
}
