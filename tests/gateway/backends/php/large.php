<?php
// As many pieces of 64 KiB as the query says; with a length, if it says so.
if (isset($_GET['length'])) {
    header('Content-Length: ' . $_GET['pieces'] * 65536);
}
for ($n = 0; $n < $_GET['pieces']; $n++) {
    echo str_repeat(chr($n % 256), 65536);
}
