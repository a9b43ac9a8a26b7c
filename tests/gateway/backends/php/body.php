<?php
$context = hash_init('sha256');
hash_update_stream($context, fopen('php://input', 'r'));
header('X-Length: ' . ($_SERVER['CONTENT_LENGTH'] ?? 'none'));
echo hash_final($context);
