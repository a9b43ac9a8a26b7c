<?php
// A form for files, with a bar of what the server has; examples/php.conf serves it.
$names = [
    UPLOAD_ERR_OK => 'complete',
    UPLOAD_ERR_INI_SIZE => 'larger than upload_max_filesize allows',
    UPLOAD_ERR_PARTIAL => 'not complete',
    UPLOAD_ERR_NO_FILE => 'no file',
];
$file = $_FILES['file'] ?? null;
?>
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Upload</title>
<script type="module" src="/progress/progress.js"></script>
<?php if ($file !== null): ?>
<p><?= htmlspecialchars($file['name']) ?>: <?= $file['size'] ?> bytes, <?= $names[$file['error']] ?? 'failed' ?></p>
<?php endif ?>
<form data-progress method="post" action="upload.php" enctype="multipart/form-data">
  <input type="file" name="file" aria-label="A file">
  <button>Upload</button>
</form>
</html>
