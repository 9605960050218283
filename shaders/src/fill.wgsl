// The coder's blocks, laid out on a grid: `claim` once for each of them, then `lay` once for each square of the grid.
//
// Inputs:  blocks: columns (first, and one after the last in the upper half), rows likewise, vector, nothing;
//          owner: one more than the number of the block that a square belongs to; 0 before `claim`.
// Outputs: grid (columns × rows): one vector per square, x in the lower and y in the upper half; 0x80008000 where no block is.
// Spaces:  squares of 8 × 8 luma pixels; vectors in 1/16 pixel, from the earlier to the later picture.
// Cost:    16 bytes read per block, one atomic operation per covered square; 8 bytes read and 8 written per square.

struct Shape {
    columns: u32,
    rows: u32,
    blocks: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> blocks: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> owner: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> grid: array<u32>;

@compute @workgroup_size(64)
fn claim(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = id.x + id.y * groups.x * 64u;
    if at >= shape.blocks {
        return;
    }
    let block = blocks[at];
    for (var row = block.y & 0xffffu; row < min(block.y >> 16u, shape.rows); row++) {
        for (var column = block.x & 0xffffu; column < min(block.x >> 16u, shape.columns); column++) {
            // Later blocks win, whichever runs first.
            atomicMax(&owner[row * shape.columns + column], at + 1u);
        }
    }
}

@compute @workgroup_size(8, 8)
fn lay(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= shape.columns || id.y >= shape.rows {
        return;
    }
    let at = id.y * shape.columns + id.x;
    let number = atomicLoad(&owner[at]);
    var vector = 0x80008000u;
    if number > 0u {
        vector = blocks[number - 1u].z;
    }
    grid[at] = vector;
}
